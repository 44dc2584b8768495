"""The picture: what stands on which node, how modules fold, and what is written where."""

import struct
import sys
import xml.etree.ElementTree as ET

import pytest
from tests.explain.stories import article, diamond, lenet

import chainrule
from chainrule import nn
from chainrule.errors import ConfigError, MissingDependencyError, StorageError
from chainrule.explain.thumbnails import png_of

pytest.importorskip("fast_sugiyama", reason="the extra `explain` is not installed")
SVG = "{http://www.w3.org/2000/svg}"


def nodes(drawing):
    """For each node of an SVG its texts, by the first of them: the title."""
    root = ET.fromstring(drawing.svg)
    found = {}
    for group in root.iter(f"{SVG}g"):
        if "cr-node" in group.get("class", ""):
            texts = [each.text for each in group.iter(f"{SVG}text")]
            found[texts[0]] = texts[1:]
    return found


def test_the_article_s_graph_shows_each_value_and_gradient_on_its_node():
    shown = nodes(article().graph())
    assert shown == {
        "x": ["value", "-2", "grad", "-4"],
        "y": ["value", "5", "grad", "-4"],
        "x + y": ["value", "3", "grad", "-4", "+"],
        "z": ["value", "-4", "grad", "3"],
        "f": ["value", "-12", "grad", "1", "×"],
    }


def test_a_screen_reader_hears_the_same():
    root = ET.fromstring(article().graph().svg)
    assert root.get("role") == "graphics-document"
    heard = [g.get("aria-label") for g in root.iter(f"{SVG}g") if g.get("aria-label")]
    assert "leaf x, value -2, gradient -4" in heard
    assert "result of mul: f, value -12, gradient 1" in heard
    for group in root.iter(f"{SVG}g"):
        if "cr-node" in group.get("class", ""):
            assert group.find(f"{SVG}title") is not None
            assert group.find(f"{SVG}desc").text


def test_nodes_do_not_overlap_and_lie_inside_the_picture():
    for story in (article(), diamond()[0], lenet()[0]):
        for direction in ("right", "down"):
            root = ET.fromstring(story.graph(direction=direction, fold=False).svg)
            width, height = float(root.get("width")), float(root.get("height"))
            boxes = []
            for group in root.iter(f"{SVG}g"):
                if "cr-node" not in group.get("class", ""):
                    continue
                x, y = map(float, group.get("transform")[10:-1].split())
                card = group.find(f"{SVG}rect")
                boxes.append((x, y, x + float(card.get("width")), y + float(card.get("height"))))
            for i, (left, top, right, bottom) in enumerate(boxes):
                assert 0 <= left < right <= width
                assert 0 <= top < bottom <= height
                for other in boxes[:i]:
                    apart = right <= other[0] or other[2] <= left
                    assert apart or bottom <= other[1] or other[3] <= top


def test_contributions_stand_at_the_edges_where_gradients_meet():
    story = diamond()[0]
    root = ET.fromstring(story.graph().svg)
    parts = [t.text for t in root.iter(f"{SVG}text") if "cr-part" in t.get("class", "")]
    assert len(parts) == 5  # three ways into a, two into h
    assert "2" in parts
    assert "-2.072" in parts


def test_modules_fold():
    story, _ = lenet()
    folded = nodes(story.graph())
    assert set(folded) >= {"images", "net.conv1", "net.pool2", "net.fc3", "labels", "loss"}
    assert "net.conv1.weight" not in folded
    unfolded = nodes(story.graph(fold=False))
    assert set(unfolded) >= {"images", "net.conv1.weight", "net.conv1.bias", "logits", "loss"}
    assert set(nodes(story.graph(fold=["net"]))) == {"images", "net", "labels", "loss"}
    with pytest.raises(ConfigError, match="no module is called"):
        story.graph(fold=["net.conv9"])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return x + self.linear(x).tanh()


def test_of_a_deep_network_more_than_the_layers_is_folded():
    net = nn.Sequential(*[Block() for _ in range(30)])
    with chainrule.explain() as story:
        net(chainrule.randn(2, 3)).sum().backward()
    shown = nodes(story.graph())
    assert len([title for title in shown if title.startswith("net.")]) == 30
    assert "net.7.linear" not in shown
    assert "net.7.linear" in nodes(story.graph(fold=["net.7.linear"]))


def test_a_folded_module_lists_its_parameters():
    (told,) = [texts for title, texts in nodes(lenet()[0].graph()).items() if title == "net.conv2"]
    assert any(text.startswith("weight 16×6×5×5") for text in told)
    assert any(text.startswith("bias 16") for text in told)


def test_it_follows_the_reader_s_system_unless_told():
    story = article()
    assert "prefers-color-scheme: dark" in story.graph().svg
    for theme in ("light", "dark"):
        svg = story.graph(theme=theme).svg
        assert "prefers-color-scheme" not in svg
        assert "var(--" not in svg
        assert f".cr-{theme} .cr-title" in svg  # not for another drawing on the same page
    assert story.graph(theme="light").svg != story.graph(theme="dark").svg
    assert story._repr_svg_() == story.graph().svg == story.graph()._repr_svg_()


def test_it_refers_to_nothing_outside_itself():
    svg = lenet()[0].graph(fold=False).svg
    for element in ET.fromstring(svg).iter():
        for name, value in element.attrib.items():
            if name.endswith("href"):
                assert value.startswith("data:image/png;base64,")
            assert "http" not in value


@pytest.mark.parametrize("ending", ["svg", "html", "png"])
def test_it_is_saved_in_three_forms(tmp_path, ending):
    if ending == "png":
        pytest.importorskip("resvg_py", reason="the extra `explain` is not installed")
    path = tmp_path / f"graph.{ending}"
    article().graph().save(path)
    data = path.read_bytes()
    begin = {"svg": b"<svg", "html": b"<!DOCTYPE html>", "png": b"\x89PNG"}[ending]
    assert data.startswith(begin)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    if ending == "png":
        width, height = struct.unpack(">II", data[16:24])
        assert width > height > 400


@pytest.mark.parametrize("scale", [1e4, 0.0, -1.0, float("nan"), float("inf")])
def test_a_png_that_no_memory_holds_is_refused(tmp_path, scale):
    with pytest.raises(ConfigError, match="save"):
        article().graph().save(tmp_path / "graph.png", scale=scale)
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_written_is_said_so(tmp_path):
    folder = tmp_path / "taken.html"
    folder.mkdir()
    for save in (article().save, article().graph().save):
        with pytest.raises(StorageError, match="can't be written"):
            save(folder)
    assert [each.name for each in tmp_path.iterdir()] == [folder.name]


def test_another_ending_theme_or_direction_is_refused(tmp_path):
    story = article()
    with pytest.raises(ConfigError, match="no ending"):
        story.graph().save(tmp_path / "graph.gif")
    with pytest.raises(ConfigError, match="walk is a page"):
        story.save(tmp_path / "walk.svg")
    with pytest.raises(ConfigError, match="theme"):
        story.graph(theme="sepia")
    with pytest.raises(ConfigError, match="direction"):
        story.graph(direction="up")


@pytest.mark.parametrize("fold", [3, None, 0.5])
def test_what_is_no_folding_is_refused(fold):
    with pytest.raises(ConfigError, match="fold is"):
        article().graph(fold=fold)


def test_what_is_not_installed_is_named_with_the_cure(tmp_path, monkeypatch):
    story = article()
    drawing = story.graph()
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingDependencyError, match="resvg") as error:
        drawing.save(tmp_path / "graph.png")
    assert "chainrule[explain]" in str(error.value)
    monkeypatch.setitem(sys.modules, "fast_sugiyama", None)
    with pytest.raises(MissingDependencyError, match="fast-sugiyama"):
        story.graph()
    assert story._repr_svg_() is None  # a notebook shows the repr instead
    story.walk()


def test_an_empty_story_and_one_without_edges_can_be_drawn():
    with chainrule.explain() as story:
        pass
    assert nodes(story.graph()) == {}
    with chainrule.explain() as story:
        chainrule.ones(3)
    story.graph()


def test_names_from_code_are_text_and_never_markup():
    x = chainrule.tensor(1.0, requires_grad=True)
    with chainrule.explain(names={"<script>&": x}) as story:
        (x * 2).backward()
    assert "<script>&" in nodes(story.graph())


def test_a_thumbnail_is_a_picture_that_decodes_to_its_levels():
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    import io

    record = lenet()[0].record
    for value in record.values:
        thumbnail = value.summary.thumbnail
        if thumbnail is None:
            continue
        picture = image.open(io.BytesIO(png_of(thumbnail)))
        assert picture.size == (thumbnail.columns, thumbnail.rows)
        assert picture.tobytes() == thumbnail.levels
