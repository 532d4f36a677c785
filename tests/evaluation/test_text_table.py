"""Cells as text, Markdown and LaTeX, with names that hold what those would read as markup."""

from dmdnet.evaluation.reports.text_table import latex_table, latex_text, markdown_table, markdown_text, text_table


def test_text_is_aligned():
    assert text_table(["name", "x"], [["a", "1.5"], ["long name", "-"]]).splitlines() == [
        "name         x",
        "--------------",
        "a          1.5",
        "long name    -",
    ]


def test_markdown():
    assert markdown_table(["m", "psnr"], [["a|b", "**1**"]]).splitlines() == [
        "| m | psnr |",
        "| :-- | --: |",
        "| a\\|b | **1** |",
    ]
    assert markdown_text("a_b*<i>[x](y)\n`") == r"a\_b\*\<i\>\[x\](y) \`"


def test_latex():
    text = latex_table(["m", "psnr"], [["a_b & 5%", "**1**"]], caption="50% of {x}", label="tab:a b_1")
    assert r"a\_b \& 5\% & \textbf{1} \\" in text
    assert r"\caption{50\% of \{x\}}" in text
    assert r"\label{tab:a-b-1}" in text
    assert r"\begin{tabular}{lr}" in text
    assert text.count("\\begin") == text.count("\\end") == 2


def test_latex_has_no_command_left_in_a_name():
    assert latex_text("\\input{x}^~#$\x00") == r"\textbackslash{}input\{x\}\textasciicircum{}\textasciitilde{}\#\$ "
