"""The chain rule on f = (x + y) z: first by hand, then by autograd. They must agree.

Then one step further: the loss (f - target)², whose gradients tell each number where to go.

    python examples/article/1_chain_rule.py
"""

import chainrule

TARGET = -13.0


def by_hand(x: float, y: float, z: float) -> tuple[float, dict[str, float]]:
    """f and its gradients: forwards from the numbers to f, backwards from f to the numbers."""
    q = x + y
    f = q * z

    df_dq = z  # f = q z: wiggle q, and f moves z times as far
    df_dz = q
    df_dx = df_dq * 1  # the chain rule: df/dx = df/dq dq/dx, and q = x + y moves with x
    df_dy = df_dq * 1
    return f, {"x": df_dx, "y": df_dy, "z": df_dz}


def show(name: str, gradients: dict[str, float]) -> None:
    print("  ".join(f"d{name}/d{each} = {value:g}" for each, value in gradients.items()))


print("By hand")
f, gradients = by_hand(-2.0, 5.0, -4.0)
print(f"f = {f:g}")
show("f", gradients)

print("\nBy autograd")
x = chainrule.tensor(-2.0, requires_grad=True)
y = chainrule.tensor(5.0, requires_grad=True)
z = chainrule.tensor(-4.0, requires_grad=True)
f = (x + y) * z
f.backward()
print(f"x = {x.item():g}  y = {y.item():g}  z = {z.item():g}")
print(f"f = {f.item():g}")
show("f", {"x": x.grad.item(), "y": y.grad.item(), "z": z.grad.item()})

print(f"\nHow far f is from {TARGET:g}")
x.grad = y.grad = z.grad = None
loss = ((x + y) * z - TARGET) ** 2
loss.backward()
print(f"loss = {loss.item():g}")
show("loss", {"x": x.grad.item(), "y": y.grad.item(), "z": z.grad.item()})
