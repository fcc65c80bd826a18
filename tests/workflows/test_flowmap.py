"""The flow map: nothing overlaps, no line runs through a node, the same definition gives the same picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

from django.template.loader import render_to_string
from hypothesis import given, settings

from aegis.core import manifests
from orchestration.workflows import parse
from orchestration.workflows.drawing import draw, mermaid
from orchestration.workflows.flowmap import layout
from orchestration.workflows.graph import links_of
from orchestration.workflows.picture import NODE_HEIGHT, NODE_WIDTH
from tests.workflows.definitions import definitions
from tests.workflows.documents import document, invoice_flow, steps_of


@dataclass
class Mark:
    tone: str
    icon: str
    word: str


DONE, WAITS, NOT_STARTED = (
    Mark("green", "check-circle", "done"),
    Mark("violet", "hourglass", "waits"),
    Mark("grey", "dot", "not started"),
)


MANIFESTS = Path(__file__).resolve().parents[2] / "examples" / "ops_incident" / "manifests"


def invoice_graph():
    return layout(parse.load(invoice_flow()))


def crosses(node, start, end):
    """Does a straight piece run through the inside of a node?"""
    (x1, y1), (x2, y2) = start, end
    left, right = sorted((x1, x2))
    top, bottom = sorted((y1, y2))
    return left < node.x + node.w and right > node.x and top < node.y + node.h and bottom > node.y


@given(definitions())
@settings(max_examples=100, deadline=None)
def test_no_two_nodes_overlap(definition):
    for one, other in combinations(layout(definition).nodes, 2):
        apart = (
            one.x + one.w <= other.x
            or other.x + other.w <= one.x
            or one.y + one.h <= other.y
            or other.y + other.h <= one.y
        )  # fmt: skip
        assert apart, (one, other)


@given(definitions())
@settings(max_examples=100, deadline=None)
def test_no_line_runs_through_a_node_and_every_line_joins_its_two(definition):
    graph = layout(definition)
    nodes = {node.id: node for node in graph.nodes}
    for edge in graph.edges:
        source, target = nodes[edge.source], nodes[edge.target]
        if graph.is_down:
            assert edge.points[0] == (source.x + NODE_WIDTH // 2, source.y + source.h)
            assert edge.points[-1] == (target.x + NODE_WIDTH // 2, target.y)
        else:
            assert edge.points[0] == (source.x + source.w, source.y + NODE_HEIGHT // 2)
            assert edge.points[-1] == (target.x, target.y + NODE_HEIGHT // 2)
        for start, end in pairwise(edge.points):
            assert start[0] == end[0] or start[1] == end[1], "only straight pieces"
            assert not [node.id for node in graph.nodes if crosses(node, start, end)], (edge, start, end)


@given(definitions())
@settings(max_examples=50, deadline=None)
def test_everything_lies_inside_the_picture_and_every_way_is_drawn(definition):
    graph = layout(definition)

    for node in graph.nodes:
        assert 0 <= node.x <= graph.width - node.w
        assert 0 <= node.y <= graph.height - node.h
    for edge in graph.edges:
        assert all(0 <= x <= graph.width and 0 <= y <= graph.height for x, y in edge.points)
        assert 0 < edge.label_y < graph.height
    drawn = sorted((edge.source, edge.target.rpartition(":")[2], edge.kind) for edge in graph.edges)
    assert drawn == sorted((link.source, link.target, link.kind) for link in links_of(definition))


@given(definitions())
@settings(max_examples=20, deadline=None)
def test_the_same_definition_gives_the_same_picture(definition):
    assert layout(definition) == layout(definition)


def test_what_two_ways_into_one_node_have_in_common_is_written_once():
    [example] = manifests.read((MANIFESTS / "workflow.yaml").read_text(), "workflow.yaml")
    graph = layout(parse.load(example.document))
    written = [edge for edge in graph.edges if edge.label]

    assert len([edge for edge in graph.edges if edge.labels == ("abstains",)]) > 1
    assert len([edge for edge in written if edge.labels == ("abstains",)]) == 1
    for one, other in combinations(written, 2):
        left, right = sorted((one, other), key=lambda edge: edge.label_x)
        beside = right.label_x >= left.label_x + 6 * len(left.label)
        assert beside or abs(one.label_y - other.label_y) > 10, (one, other)


def test_a_straight_workflow_is_one_row():
    graph = invoice_graph()
    rows = {node.id: node.y for node in graph.nodes}

    assert rows["extract"] == rows["triage"] == rows["sign-off"] == rows["apply"] == rows["done"]
    assert rows["queue:desk"] > rows["extract"]
    assert [node.x for node in graph.nodes if node.kind != "queue"] == sorted(
        node.x for node in graph.nodes if node.kind != "queue"
    )


def test_cases_and_reasons_are_written_on_the_ways():
    labels = {(edge.source, edge.target): edge.labels for edge in invoice_graph().edges}

    assert labels["triage", "apply"] == ("low",)
    assert labels["triage", "queue:desk"] == ("unknown",)
    assert labels["extract", "queue:desk"] == ("unsure",)
    assert labels["extract", "triage"] == ()


def test_several_cases_to_one_step_are_one_way():
    workflow = invoice_flow()
    steps_of(workflow)["triage"]["cases"]["high"] = "apply"

    graph = layout(parse.load(workflow))

    assert [edge.labels for edge in graph.edges if edge.source == "triage" and edge.target == "apply"] == [("low", "high")]


def test_ways_show_where_a_run_went():
    drawing = draw(
        invoice_graph(),
        {"extract": DONE, "triage": DONE, "sign-off": WAITS, "apply": NOT_STARTED, "tell": NOT_STARTED, "done": NOT_STARTED},
        taken={("extract", "triage"), ("triage", "sign-off")},
    )
    states = {line.title or index: line.state for index, line in enumerate(drawing.lines)}

    assert states["low"] == "todo"
    assert states["high"] == "done"
    assert states["unknown"] == "off"


def test_a_map_without_a_run_says_what_each_step_names():
    boxes = {box.id: box for box in draw(invoice_graph()).boxes}

    assert boxes["extract"].name == "extract, agent reader"
    assert boxes["extract"].tone == ""
    assert boxes["queue:desk"].name == "desk, review queue"


def rendered(**context):
    return render_to_string("workflows/_flowmap.html", context)


def test_every_node_is_a_named_link_and_every_step_is_in_the_list():
    marks = {"extract": DONE, "triage": WAITS}
    html = rendered(drawing=draw(invoice_graph(), marks, {"extract": "#ev-3"}, default_href="#timeline"))

    assert 'href="#ev-3"' in html
    assert 'aria-label="extract, agent reader: done"' in html
    assert html.count('class="fm-node"') == 7
    assert html.count("<li") == 6
    assert 'data-tone="green"' in html


def test_the_page_part_keeps_the_content_security_policy():
    html = rendered(drawing=draw(invoice_graph()))

    assert "style=" not in html
    assert "<style" not in html
    assert "<script" not in html
    assert " on" not in html.replace(" one", "").replace(" only", "").replace(" once", "")


def test_titles_are_text_whatever_stands_in_them():
    workflow = invoice_flow()
    steps_of(workflow)["extract"]["title"] = '<img src=x onerror=alert(1)>"'
    graph = layout(parse.load(workflow))

    assert "<img" not in rendered(drawing=draw(graph))
    assert '"<img' not in mermaid(graph)


def test_a_long_title_is_cut_in_the_box_and_whole_in_its_name():
    workflow = invoice_flow()
    steps_of(workflow)["extract"]["title"] = "Read the invoice that came by mail"
    box = draw(layout(parse.load(workflow))).boxes[0]

    assert box.title.endswith("…")
    assert box.name.startswith("Read the invoice that came by mail")


def test_mermaid_names_every_step_and_way():
    text = mermaid(invoice_graph())

    assert text.startswith("flowchart LR\n")
    assert '  n1{"triage<br/>routing table risk"}' in text
    assert '  n1 -->|"low"| n3' in text
    assert '  n1 -.->|"unknown"| n6' in text


def test_a_workflow_of_one_step_has_a_map():
    spec = {"input": "a@1", "business_key": "input.id", "fallback": {"queue": "q"}, "steps": [{"id": "end", "finish": "done"}]}
    graph = layout(parse.load(document("Workflow", "tiny", spec, owner="A")))

    assert len(graph.nodes) == 1
    assert graph.edges == ()


def nested():
    look = {"id": "look", "set": {"x": "1"}}
    each = {"id": "each", "map": "[1]", "steps": [look, {"id": "say", "set": {"x": "1"}}]}
    one = {"id": "one", "set": {"x": "1"}}
    workflow = invoice_flow()
    workflow["spec"]["steps"].insert(0, {"id": "both", "parallel": {"left": {"steps": [each]}, "right": {"steps": [one]}}})
    return layout(parse.load(workflow))


def inside(inner, outer):
    return (
        outer.x < inner.x and outer.y < inner.y
        and inner.x + inner.w < outer.x + outer.w and inner.y + inner.h < outer.y + outer.h
    )  # fmt: skip


def test_a_block_holds_the_steps_of_its_branches_and_items():
    graph = nested()
    nodes = {node.id: node for node in (*graph.nodes, *graph.inner)}

    assert [node.id for node in graph.inner] == ["each", "look", "say", "one"]
    assert nodes["look"].within == ("both", "each")
    assert all(inside(node, nodes[block]) for node in graph.inner for block in node.within)
    assert [frame.title for frame in graph.frames] == ["left", "", "right"]
    assert not inside(nodes["one"], nodes["each"])
    assert [(edge.source, edge.target) for edge in graph.inner_edges] == [("look", "say")]


def test_a_block_has_room_for_its_texts_in_its_own_width():
    graph = nested()
    blocks = [replace(node, title="W" * 24) if node.id == "both" else node for node in graph.nodes]

    assert draw(replace(graph, nodes=tuple(blocks))).boxes[0].title == "W" * 24


def test_steps_inside_a_block_are_links_with_a_state_and_lines_of_the_list():
    drawing = draw(nested(), {"both": WAITS, "each": WAITS, "look": DONE, "say": WAITS, "one": DONE}, {"look": "#e9"})
    boxes = {box.id: box for box in drawing.boxes}

    assert [box.id for box in drawing.steps][:5] == ["both", "each", "look", "say", "one"]
    assert (boxes["look"].tone, boxes["look"].href, boxes["look"].depth) == ("green", "#e9", 2)
    assert [name for name, box in boxes.items() if box.is_block] == ["both", "each"]


def test_mermaid_nests_the_steps_of_a_block():
    text = mermaid(nested())

    assert text.index("subgraph") < text.index("look") < text.index("end\n")
    assert text.count("subgraph") == text.count("end\n") == 2


def test_a_map_wider_than_a_page_runs_downwards():
    assert not layout(
        parse.load(
            document(
                "Workflow", "short", {**invoice_flow()["spec"], "steps": [{"id": "x", "set": {"y": "1"}}]}, owner="Finance"
            )
        )
    ).is_down
    long = {**invoice_flow()["spec"], "steps": [{"id": f"s{number}", "set": {"x": "1"}} for number in range(12)]}
    graph = layout(parse.load(document("Workflow", "long", long, owner="Finance")))

    assert graph.is_down
    assert graph.width < 400
