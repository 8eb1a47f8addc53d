"""Templates: types kept, names looked up when used, errors that name the place, and no bombs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converge.language.template import TemplateError, Templates, Variables, is_template


class Lazy(Mapping):
    """Facts, each of which is costly: notes what was asked for."""

    def __init__(self, **values):
        self.values_by_name = values
        self.asked = []

    def __getitem__(self, name):
        value = self.values_by_name[name]
        self.asked.append(name)
        return value

    def __iter__(self):
        return iter(self.values_by_name)

    def __len__(self):
        return len(self.values_by_name)


NAMES = {"n": 3, "s": "it's", "xs": [1, 2], "d": {"k": "v"}, "none": None, "yes": True}


def render(value, names=NAMES):
    return Templates().value(value, names)


def error(value, names=NAMES):
    with pytest.raises(TemplateError) as caught:
        render(value, names)
    return caught.value


@pytest.mark.parametrize("value", ["", "a { b } }}", "%}", 1, 1.5, True, None, [], {}, "{ {x} }"])
def test_what_is_no_template_is_returned_as_it_is(value):
    assert not is_template(value)
    assert render(value) is value or render(value) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("{{ n }}", 3), ("{{ n + 1 }}", 4), ("{{ n / 2 }}", 1.5), ("{{ s }}", "it's")),
        *(("{{ xs }}", [1, 2]), ("{{ d }}", {"k": "v"}), ("{{ none }}", None)),
        *(("{{ yes }}", True), ("{{ n > 5 }}", False), ("{{ (1, (2,)) }}", [1, [2]])),
        *(("{{ xs | length }}", 2), ("{{ {'a': xs} }}", {"a": [1, 2]}), ("{{- n -}}", 3)),
        *(("{{ range(3) | list }}", [0, 1, 2]), ("{{ d.k if yes else 1 }}", "v")),
        ("{{ nothing | default([]) }}", []),
    ],
)
def test_a_single_expression_keeps_its_type(text, value):
    found = render(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("{{ n }} ", "3 "), ("{{ n }}\n", "3\n"), ("x{{ yes }}", "xTrue")),
        *(("{{ n }}{{ n }}", "33"), ("{# nothing #}", ""), ("{{ 'a' }}{# b #}c", "ac")),
        ("{% for x in xs %}\n- {{ x }}\n{% endfor %}\nend\n", "- 1\n- 2\nend\n"),
        ("{% if yes %}a{% else %}b{% endif %}", "a"),
        ("{% set q = n * 2 %}{{ q }}", "6"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(s) }}", "<it's>"),
        ("{{ n ~ s ~ xs }}.", "3it's[1, 2]."),
        ("{{ '%s is %d' % (s, n) }}.", "it's is 3."),
    ],
)
def test_everything_else_is_a_string(text, value):
    assert render(text) == value


def test_text_is_never_escaped_for_html():
    assert render("{{ s }} <&>") == "it's <&>"


def test_the_strings_of_plain_data_are_rendered_and_keys_are_not():
    value = {"a": ["{{ n }}", {"b": "<{{ s }}>", "c": 1}], "{{ n }}": "x"}
    assert render(value) == {"a": [3, {"b": "<it's>", "c": 1}], "{{ n }}": "x"}
    assert value["a"][0] == "{{ n }}"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_a_var_comes_out_as_it_went_in(value):
    assert render("{{ v }}", {"v": value}) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ s | quote }}", "'it'\"'\"'s'"),
        ("{{ d | to_json }}", '{"k": "v"}'),
        ("{{ ['é', none, yes] | to_json }}", '["é", null, true]'),
        ("{{ '/a/b.c' | basename }}", "b.c"),
        ("{{ '/a/b.c' | dirname }}", "/a"),
        ("{{ xs | join(',') }}", "1,2"),
        ("{{ 'abc' | replace('b', 'x') }}", "axc"),
        ("{{ '%s-%s' | format('a', 'b') }}", "a-b"),
        ("{{ '%(x)s' | format(x=1) }}", "1"),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
    ],
)
def test_filters(text, value):
    assert render(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ noen }}", "`noen` is not defined (did you mean `none`?)"),
        ("x {{ noen }}", "`noen` is not defined (did you mean `none`?)"),
        ("{{ [nothing_like_it] }}", "`nothing_like_it` is not defined"),
        ("{{ noen | quote }}", "`noen` is not defined (did you mean `none`?)"),
        ("{{ noen | to_json }}", "`noen` is not defined (did you mean `none`?)"),
        ("{% if noen %}{% endif %}", "`noen` is not defined (did you mean `none`?)"),
        ("{{ d.kk }}", "there is no `kk` in it; it has k"),
        ("{{ d['kk'] }}.", "there is no `kk` in it; it has k"),
        ("{{ xs[7] }}", "a list has no `7`"),
        ("{{ n.x.y }}", "a number has no `x`"),
    ],
)
def test_undefined_names(text, message):
    assert str(error(text)) == message


@pytest.mark.parametrize(
    "text",
    [
        *("{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}"),
        *("{% extends 'x' %}", "a\n{% if n %}{% include ['x'] ignore missing %}{% endif %}"),
    ],
)
def test_a_template_loads_no_other(text):
    found = error(text)
    assert found.message.startswith("a template cannot include or import another")
    assert found.line == text.count("\n") + 1


@pytest.mark.parametrize(
    "text",
    [
        *("{{ s.__class__ }}", "{{ s['__class__'] }}", "{{ s | attr('__class__') }}."),
        *(
            "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            "{{ xs.append(3) }}",
            "{{ d.clear() }}",
        ),
        *("{{ '{0.__class__}'.format(s) }}", "{{ '{x.__class__}'.format_map(d) }}"),
        *("{{ cycler.__init__.__globals__ }}", "{{ self._TemplateReference__context }}"),
        *("{{ s | random }}", "{{ lipsum() }}", "{{ namespace.__init__.__globals__ }}"),
    ],
)
def test_a_template_does_not_leave_the_sandbox(text):
    names = {"s": "a", "xs": [1], "d": {"x": 1}}
    assert error(text, names).message
    assert names == {"s": "a", "xs": [1], "d": {"x": 1}}


DOUBLE = (
    "{{% set ns = namespace(x='x' * 1000) %}}{{% for i in range(50) %}}"
    "{{% set ns.x = {} %}}{{% endfor %}}"
)


@pytest.mark.parametrize(
    "text",
    [
        *("{{ 'x' * 10**9 }}", "{{ 10**9 * 'x' }}", "{{ [1] * 10**9 }}", "{{ 2 ** (2 ** 99) }}"),
        *("{{ (10 ** 900) * (10 ** 900) }}", "{{ range(10**9) }}", "{{ '%1000000000d' % 1 }}"),
        *("{{ '%*d' % (10**9, 1) }}", "{{ '%.999999999f' % 1 }}", "{{ '%999999999d'|format(1) }}"),
        *("{{ '{:1000000000}'.format(1) }}", "{{ '{:{}}'.format(1, 10**9) }}"),
        *("{{ 'x'.ljust(10**9) }}", "{{ 'x'.zfill(10**9) }}", "{{ '\t'.expandtabs(10**9) }}"),
        *(
            "{{ 'x' | center(10**9) }}",
            "{{ 'x' | indent(10**9, true) }}",
            "{{ 'x'|batch(10**9,1) }}",
        ),
        *("{{ 1 | to_json(indent=10**9) }}", "{{ [1] | tojson(10**9) }}"),
        *("{{ 'x'.center(width=10**9) }}", "{{ 'ab' | wordwrap(width=10**9) }}"),
        *map(DOUBLE.format, ("ns.x ~ ns.x", "ns.x + ns.x", "ns.x.replace('x', ns.x)", "ns.x * 2")),
        *(DOUBLE.format("ns.x | replace('x', ns.x)"), DOUBLE.format("ns.x ~ (ns.x ~ '')")),
        "{% for i in range(99999) %}" + "x" * 100 + "{% endfor %}",
        "{{ ['x' * 1000000] * 100 }}",
        *(
            "{{ " + "(" * 5000 + " }}",
            "{{ " + "-" * 5000 + "1 }}",
            "{{ " + "+".join("1" * 9999) + "}}",
        ),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% if n %}" * 3000,
    ],
)
def test_bombs(text):
    assert error(text).message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("{{ 'ab' * 3 }}", "ababab"), ("{{ 2 ** 64 }}", 2**64), ("{{ 7 % 4 }}", 3)),
        *(("{{ '{:>5}{}'.format('x', 1000000000) }}", "    x1000000000"), ("{{ 'x' * -1 }}", "")),
        *(("{{ '%5d' % 1000000000 }}", "1000000000"), ("{{ [1] + [2] }}", [1, 2])),
        ("{{ 'x' | center(5) }}", "  x  "),
        ("{{ 0.5 * 4 }}", 2.0),
    ],
)
def test_sensible_arithmetic(text, value):
    assert render(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ xs | map('string') }}", "end it with `| list`"),
        ("{{ range(3) }}", "a range, not plain data; end it with `| list`"),
        ("{{ {'a': 1}.items() }}", "a dict_items, not plain data; end it with `| list`"),
        ("{{ dict }}", "not plain data"),
        ("{{ {1: 2} }}", "the key 1, which is not a string"),
        ("{{ (n * 1e308) * 10 }}", "is inf"),
        ("{{ s.encode() }}", "a bytes, not plain data"),
    ],
)
def test_an_expression_gives_plain_data(text, message):
    assert message in error(text).message


def test_data_that_holds_itself_is_refused():
    loop: list = []
    loop.append(loop)
    assert "64 deep" in error("{{ x }}", {"x": loop}).message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb {{ 1 / 0 }}", 2),
        ("a\n\nb {{\n nn }}", 4),
        ("a\n{% if %}", 2),
        ("{% for x in xs %}\n\n{{ x.y }}{% endfor %}", 3),
        ("\n\n{{ 'a' + 1 }} ", 3),
        ("a\n{{ 'open ", 2),
    ],
)
def test_the_line_of_an_error(text, line):
    assert error(text).line == line


def test_the_path_of_an_error():
    assert error({"a": [1, {"b": "{{ nn }}"}]}).path == ("a", 1, "b")
    assert error("{{ nn }}").path == ()


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        *(("n == 3", True), ("n > 5", False), ("'k' in d", True), ("xs", True), ("none", False)),
        *(("s is defined and nothing is not defined", True), ("{'a': {'b': 1}}", True)),
        *((True, True), (False, False), ("not yes", False), ("n", True), ("[]", False)),
        ("d.k == 'v'", True),
    ],
)
def test_conditions(expression, holds):
    assert Templates().condition(expression, NAMES) is holds


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("{{ yes }}", "without braces (write `yes`)"),
        ("{% if yes %}", "without braces"),
        ("noen", "`noen` is not defined (did you mean `none`?)"),
        ("n n", "not expected"),
        ("", "unexpected"),
        ("n ==", "unexpected"),
        ("s", "gives the string"),
        ("'false'", "(compare it: `'false' == '…'`)"),
        (None, "an expression or a boolean"),
        (1, "an expression or a boolean"),
        ("2 ** 9999", "bits"),
        ("(" * 5000, "too deep"),
    ],
)
def test_conditions_that_are_wrong(expression, message):
    with pytest.raises(TemplateError) as caught:
        Templates().condition(expression, NAMES)
    assert message in str(caught.value)


def test_vars_are_rendered_when_they_are_used_and_once():
    facts = Lazy(hostname="web1", slow="…")
    names = Variables(
        {"a": "{{ b }}-{{ b }}", "b": "{{ facts.hostname }}", "unused": "{{ facts.slow }}"},
        {"facts": facts},
    )
    assert facts.asked == []
    assert render("{{ a }}", names) == "web1-web1"
    assert render("{{ a }}{{ b }}", names) == "web1-web1web1"
    assert facts.asked == ["hostname"]


def test_only_the_names_that_a_template_mentions_are_asked_for():
    names = Lazy(a=1, b=2, c=3, d=Lazy(e=4, f=5))
    assert render("{% if a == 1 %}{{ b }}{% endif %}{{ d.e }}", names) == "24"
    assert set(names.asked) == {"a", "b", "d"}
    assert set(names["d"].asked) == {"e"}
    assert render("{{ x is defined }}", names) is False


def test_a_var_keeps_its_type_and_may_be_nested():
    names = Variables({"ports": ["{{ base }}", "{{ base + 1 }}"], "base": 8000})
    assert names["ports"] == [8000, 8001]
    assert render("{{ ports }}", names) == [8000, 8001]
    assert {**names} == {"ports": [8000, 8001], "base": 8000}
    assert len(names) == 2
    assert "ports" in names
    assert "nothing" not in names
    with pytest.raises(KeyError):
        names["nothing"]


def test_vars_come_before_base_names():
    names = Variables({"a": 1}, {"a": 2, "b": 3})
    assert (names["a"], names["b"], list(names)) == (1, 3, ["a", "b"])


@pytest.mark.parametrize(
    ("raw", "loop"),
    [
        ({"a": "{{ a }}"}, "a → a"),
        ({"a": "{{ b }}", "b": ["x{{ c }}"], "c": "{{ a }}"}, "a → b → c → a"),
        ({"z": "{{ a }}", "a": "{{ b }}", "b": "{{ a }}"}, "a → b → a"),
    ],
)
def test_a_var_that_refers_to_itself(raw, loop):
    names = Variables(raw)
    first = next(iter(raw))
    for _ in range(2):
        assert error(f"{{{{ {first} }}}}", names).message.endswith(f"refers to itself: {loop}")


def test_an_error_in_a_var_names_the_var_and_the_place_that_used_it():
    names = Variables({"a": "{{ b }}", "b": "{{ nn }}", "n": 1})
    found = error({"x": ["{{ a }}"]}, names)
    assert str(found) == "in the var `b`: `nn` is not defined (did you mean `n`?)"
    assert found.path == ("x", 0)


def test_a_long_chain_of_vars_is_an_error_and_not_a_crash():
    raw = {f"v{i}": f"{{{{ v{i + 1} }}}}" for i in range(2000)}
    assert error("{{ v0 }}", Variables(raw)).message


def test_a_template_is_compiled_once():
    templates = Templates()
    assert [templates.value("<{{ i }}>", {"i": i}) for i in range(3)] == ["<0>", "<1>", "<2>"]
    assert [templates.condition("i > 1", {"i": i}) for i in range(3)] == [False, False, True]
    assert len(templates._texts) == len(templates._conditions) == 1


def test_jinja_is_imported_only_for_a_template():
    code = (
        "import sys; from converge.language.template import Templates, Variables\n"
        "t = Templates(); t.value({'a': ['{ }', 1]}, Variables({'a': 1}))['a']; t.condition(True, {})\n"
        "assert not {'jinja2', 'json', 'difflib'} & (set(sys.modules) - before), sys.modules\n"
        "t.value('{{ 1 }}', {}); assert 'jinja2' in sys.modules"
    )
    code = "import sys; before = set(sys.modules)\n" + code
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
