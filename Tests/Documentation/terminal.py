"""A terminal emulator that runs a program and draws its screen."""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from html import escape

SEQUENCE = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|[\r\n]|[^\x1b\r\n]+")
STYLES = {31: 'fill="#ff7b72"', 32: 'fill="#7ee787"', 33: 'fill="#e3b341"', 2: 'fill="#8b949e"', 1: 'font-weight="bold"'}
TEXT, BACKGROUND, PROMPT = "#e6edf3", "#0d1117", "#8b949e"
CELL, LINE, MARGIN = 7.83, 18, 14


def words(row):
    """Returns each word of a row with its column, so that columns align regardless of the font."""
    line = "".join(character for character, _ in row)
    for word in re.finditer(r"\S+", line):
        style = row[word.start()][1]
        attribute = f" {style}" if style else ""
        yield f'<tspan x="{MARGIN + word.start() * CELL:.1f}"{attribute}>{escape(word[0])}</tspan>'


class Terminal:
    """Supports only the escape sequences that `defender` writes (ECMA-48), and fails on any other."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.clear()
        self.style = None

    def clear(self):
        self.row = self.column = 0
        self.cells = [[(" ", None)] * self.columns for _ in range(self.rows)]

    def run(self, command, environment, folder=".", quit_after=None):
        """Runs a command in a directory until it exits. Presses q after the given number of seconds, and keeps the screen before that."""
        child, master = pty.fork()
        if child == 0:
            os.chdir(folder)
            os.execve(command[0], [str(word) for word in command], environment)
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))
        end = time.monotonic() + (quit_after or 60)
        text = b""
        while time.monotonic() < end:
            if not select.select([master], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(master, 65_536)
            except OSError:  # The program has ended (EIO).
                break
            text += piece
            if not piece:
                break
        self.feed(text.decode())
        if quit_after:
            os.write(master, b"q")
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(f"{command} ended with {os.waitstatus_to_exitcode(status)}:\n{text.decode()}")

    def feed(self, text):
        for match in SEQUENCE.finditer(text):
            if match[2]:
                self.obey(match[1], match[2])
            elif match[0] == "\r":
                self.column = 0
            elif match[0] == "\n":
                self.line_feed()
            else:
                for character in match[0]:
                    self.put(character)

    def obey(self, parameters, final):
        if (parameters, final) == ("", "H"):
            self.row = self.column = 0
        elif (parameters, final) == ("", "K"):
            self.cells[self.row][self.column:] = [(" ", None)] * (self.columns - self.column)
        elif (parameters, final) == ("", "J"):
            self.cells[self.row + 1:] = [[(" ", None)] * self.columns for _ in range(self.rows - self.row - 1)]
        elif final == "m":
            self.style = STYLES.get(int(parameters or 0))
        elif parameters == "?1049":
            self.clear()
        elif not parameters.startswith("?"):
            sys.exit(f"this terminal doesn't know ESC[{parameters}{final}")

    def line_feed(self):
        if self.row < self.rows - 1:
            self.row += 1
        else:
            self.cells = self.cells[1:] + [[(" ", None)] * self.columns]

    def put(self, character):
        if self.column == self.columns:
            self.column = 0
            self.line_feed()
        self.cells[self.row][self.column] = (character, self.style)
        self.column += 1

    def svg(self, prompt):
        """Returns the command and the lines that aren't blank."""
        lines = ["".join(character for character, _ in row).rstrip() for row in self.cells]
        count = max((number + 1 for number, line in enumerate(lines) if line), default=0)
        width, height = round(self.columns * CELL + 2 * MARGIN), (count + 2) * LINE + MARGIN
        parts = [f'<text x="{MARGIN}" y="{LINE + 4}" style="fill:{PROMPT}">{escape(prompt)}</text>']
        for number, row in enumerate(self.cells[:count]):
            parts.append(f'<text y="{(number + 2) * LINE + 10}">{"".join(words(row))}</text>')
        style = (f"text{{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:{TEXT}}}")
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
                f'aria-label="{escape(prompt[2:])}">\n<style>{style}</style>\n'
                f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>\n' + "\n".join(parts) + "\n</svg>\n")
