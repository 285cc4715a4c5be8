"""The tables of other-libraries.md, made of `purecnn.messages.near_names`: run it after a change there."""

from pathlib import Path

from purecnn.messages import calls, near_names, vocabulary

PAGE = Path(__file__).parents[1] / "guides" / "other-libraries.md"
TABLES = {
    **vocabulary.LAYER_TABLES,
    "losses": vocabulary.LOSSES,
    "metrics": vocabulary.METRICS,
    "optimizers": vocabulary.OPTIMIZERS,
    "schedules": vocabulary.SCHEDULES,
    "callbacks": vocabulary.CALLBACKS,
    "augmentation": vocabulary.AUGMENTATIONS,
    "initializations": vocabulary.INITIALIZATIONS,
    "data": vocabulary.DATA,
    "arguments": vocabulary.ARGUMENTS,
    "attributes": (*calls.METHODS, *calls.HISTORIES),
    "otherwise": vocabulary.OTHERWISE,
    **{f"absent {topic}": rows for topic, rows in vocabulary.ABSENT.items()},
}


def filled(text: str) -> str:
    """Return the page with each table between its marks made anew."""
    for name, rows in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + near_names.table(rows) + end + after
    return text


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
