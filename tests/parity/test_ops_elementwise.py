from tests.parity.agreement import assert_agrees
import numpy as np
def test_x():
    assert_agrees("add", np.ones((2,3)), np.ones(3))
    assert_agrees("exp", np.ones((2,3)))
    assert_agrees("sum", np.ones((2,3)), 1)
