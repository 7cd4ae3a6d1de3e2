"""Formulas once and as TeX; raised and lowered text; the pages of the shared cases."""

from pathlib import Path

import pytest

from gristmill.sources.html import extract

CASES = Path(__file__).parent / "cases"
E_MC2 = "<mrow><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></mrow>"
TEX = "<annotation encoding='application/x-tex'>E=mc^2</annotation>"
FRACTION = "<mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><msqrt><mi>b</mi></msqrt></mfrac>"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (f"<math><semantics>{E_MC2}{TEX}</semantics></math>", "E=mc^2"),
        (f"<math alttext='E=mc^2'>{E_MC2}</math>", "E=mc^2"),
        (f"<math>{E_MC2}</math>", "E=mc^2"),
        (f"<math>{FRACTION}</math>", r"\frac{a+1}{\sqrt{b}}"),
        ("<math><msubsup><mi>x</mi><mi>i</mi><mn>12</mn></msubsup></math>", "x_i^{12}"),
        ("<math><mtable><mtr><mtd>1</mtd><mtd>2</mtd></mtr><mtr><mtd>3</mtd></mtr></mtable></math>", r"1 & 2 \\ 3"),
        ("<script type='math/tex'>x^2</script>", "x^2"),
        ("<i class=MathJax_Preview>x2</i><i class=MathJax>x2</i><script type='math/tex'>x^2</script>", "x^2"),
        (f"<mjx-container><mjx-math>E</mjx-math><math>{E_MC2}</math></mjx-container>", "E=mc^2"),
        (
            f"<span class=katex><span class=katex-mathml><math><semantics>{E_MC2}{TEX}</semantics></math></span>"
            "<span class=katex-html aria-hidden=true>E=mc2</span></span>",
            "E=mc^2",
        ),
        (
            "<span class=mwe-math-element><span style='display: none;'>"
            "<math alttext='{\\displaystyle E=mc^{2}}'></math></span><img alt='{\\displaystyle E=mc^{2}}'></span>",
            "E=mc^{2}",
        ),
        ("10<sup>6</sup>", "10^6"), ("10<sup>−12</sup>", "10^−12"), ("H<sub>2</sub>O", "H_2O"),
        ("x<sub>i+1</sub>", "x_{i+1}"), ("the 1<sup>st</sup>", "the 1st"),
        ("note<sup><a href=#n>7</a></sup>", "note[7]"),
        ("note<sup>[8]</sup>", "note[8]"), ("Acme<sup>®</sup>", "Acme®"),
    ],
)  # fmt: skip
def test_a_formula_stands_once(html, text):
    assert extract(f"<p>So {html} holds.</p>".encode()).text == f"So {text} holds."


def test_a_displayed_formula_is_a_paragraph():
    page = "<p>Then</p><script type='math/tex; mode=display'>y_1</script><p>holds.</p>"
    assert extract(page.encode()).text.split() == ["Then", "y_1", "holds."]


def test_deep_mathml_is_its_text():
    assert "x" in extract(f"<math>{'<mrow>' * 400}x".encode()).text


def test_the_cases():
    text = extract((CASES / "10.html").read_bytes()).text
    assert text.count("E=mc") == 1
    assert "The energy is E=mc^2 at rest." in text
    assert extract((CASES / "07.html").read_bytes()).text.startswith("A page in UTF-8 with naïve café")
    bread = extract((CASES / "08.html").read_bytes()).text
    assert "Mix two cups of flour" in bread
    assert "Bake it for forty minutes" in bread
