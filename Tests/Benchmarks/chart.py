"""Formats the results as a table for a terminal and as a chart."""
from html import escape

WIDTH, LEFT, BAR, MARGIN = 880, 254, 440, 30
OURS, OTHERS, TEXT, FAINT = "#e8590c", "#adb5bd", "#212529", "#6c757d"


def ratio(group, row):
    """Returns the ratio of a row to this project's first row, if that isn't zero."""
    ours = next((other["value"] for other in group.rows if other["ours"]), None)
    return row["value"] / ours if ours else None


def short(value):
    """Formats a number with three significant digits, or all digits before the decimal point."""
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"


def table(groups):
    lines = []
    for group in groups:
        lines.append(f"\n{group.title}")
        for row in group.rows:
            mark = "*" if row["ours"] else " "
            value = f"{short(row['value'])} {group.unit}"
            factor = ratio(group, row)
            suffix = "" if factor is None else f"{short(factor):>11}x"
            lines.append(f"  {mark} {row['name']:<40}{value:>16}{suffix}")
    return "\n".join(lines)


def svg(groups, machine, command):
    """Draws horizontal bars. Each group has its own scale."""
    parts, y = [], 34
    parts.append(f'<text x="{MARGIN}" y="{y}" class="title">Costs, and those of others in the same run</text>')
    y += 20
    where = f"{machine['processor']}, Linux {machine['kernel']}, Swift {machine['swift']}"
    parts.append(f'<text x="{MARGIN}" y="{y}" class="faint">Shorter is better; each group has its own scale. {escape(where)}</text>')
    for group in (one for one in groups if not one.is_detail):
        y += 34
        parts.append(f'<text x="{MARGIN}" y="{y}" class="group">{escape(group.title)}</text>')
        y += 8
        most = max(row["value"] for row in group.rows) or 1
        for row in group.rows:
            length = max(1.5, BAR * row["value"] / most)
            kind = "ours" if row["ours"] else "other"
            value = f"{short(row['value'])} {group.unit}"
            factor = ratio(group, row)
            suffix = "" if factor is None or factor == 1 else f" ({short(factor)}x)"
            parts.append(f'<text x="{LEFT - 8}" y="{y + 13}" class="name">{escape(row["name"])}</text>')
            parts.append(f'<rect x="{LEFT}" y="{y + 2}" width="{length:.1f}" height="14" rx="2" class="{kind}"/>')
            parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + 13}" class="value">{escape(value + suffix)}</text>')
            y += 20
    y += 30
    parts.append(f'<text x="{MARGIN}" y="{y}" class="faint">Made by {escape(command)}; in brackets: times what this project takes.</text>')
    style = (
        "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:12px;fill:%s}"
        ".title{font-size:18px;font-weight:600}.group{font-weight:600;font-size:13px}.name{text-anchor:end}"
        ".faint{fill:%s;font-size:11px}.value{font-variant-numeric:tabular-nums}.ours{fill:%s}.other{fill:%s}"
        % (TEXT, FAINT, OURS, OTHERS))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 16}" width="{WIDTH}" height="{y + 16}" role="img" '
            f'aria-label="Benchmarks">\n<style>{style}</style>\n<rect width="100%" height="100%" fill="#fff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")
