"""Colours and sizes of the window: light, dark and high contrast.

Every pair of text and ground used here has a contrast of at least 4.5 : 1 (7 : 1 in high contrast), every border and
mark of a state at least 3 : 1; tests compute it, and measure it in the drawn window.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette

from app.view import Phase


@dataclass(frozen=True)
class Theme:
    """Colours as #rrggbb. `phases` holds the colour of each state's text and icon on `surface`.

    `line` is for borders and separators, `warning` for what stops the conversation, `notice` for what limits it, `tick`
    the drawing in a ticked box, on `accent`.
    """

    ground: str
    surface: str
    text: str
    muted: str
    line: str
    accent: str
    on_accent: str
    warning: str
    on_warning: str
    notice: str
    on_notice: str
    remote: str
    on_remote: str
    tick: str
    phases: dict[Phase, str]


LIGHT = Theme(
    ground="#f2f4f7",
    surface="#ffffff",
    text="#17212b",
    muted="#54616e",
    line="#76818d",
    accent="#0b57a4",
    on_accent="#ffffff",
    warning="#fde7e4",
    on_warning="#7a1810",
    notice="#fff6df",
    on_notice="#5a3d00",
    remote="#fff0c7",
    on_remote="#5a3d00",
    tick="tick-light",
    phases={
        Phase.STARTING: "#775200",
        Phase.LISTENING: "#0a6b4d",
        Phase.HEARING: "#0b57a4",
        Phase.REPLYING: "#6a3fa0",
        Phase.SPEAKING: "#a03c00",
        Phase.PAUSED: "#54616e",
        Phase.FAILED: "#b0251c",
    },
)

DARK = Theme(
    ground="#12171d",
    surface="#1b222a",
    text="#f0f3f6",
    muted="#a9b4c0",
    line="#75828f",
    accent="#7db4ff",
    on_accent="#0b1622",
    warning="#4a1a16",
    on_warning="#ffd9d4",
    notice="#2e2a1c",
    on_notice="#ffe9ae",
    remote="#463503",
    on_remote="#ffe9ae",
    tick="tick-dark",
    phases={
        Phase.STARTING: "#f2c14e",
        Phase.LISTENING: "#5fd3a5",
        Phase.HEARING: "#7db4ff",
        Phase.REPLYING: "#c7a6f5",
        Phase.SPEAKING: "#ffa870",
        Phase.PAUSED: "#a9b4c0",
        Phase.FAILED: "#ff8a80",
    },
)

HIGH_CONTRAST = Theme(
    ground="#000000",
    surface="#000000",
    text="#ffffff",
    muted="#ffffff",
    line="#ffffff",
    accent="#ffe600",
    on_accent="#000000",
    warning="#000000",
    on_warning="#ffe600",
    notice="#000000",
    on_notice="#ffffff",
    remote="#ffe600",
    on_remote="#000000",
    tick="tick-dark",
    phases={
        Phase.STARTING: "#ffe600",
        Phase.LISTENING: "#5dff9b",
        Phase.HEARING: "#66e0ff",
        Phase.REPLYING: "#f0b3ff",
        Phase.SPEAKING: "#ffc266",
        Phase.PAUSED: "#ffffff",
        Phase.FAILED: "#ff9d94",
    },
)

NORMAL_PT = 11.5


THEMES = {"light": LIGHT, "dark": DARK, "high contrast": HIGH_CONTRAST}


def pick_theme(chosen: str, *, dark: bool, more_contrast: bool) -> Theme:
    """`chosen` as in the settings; "system" follows what the system says: `dark`, or that it wants `more_contrast`."""
    if chosen in THEMES:
        return THEMES[chosen]
    return HIGH_CONTRAST if more_contrast else DARK if dark else LIGHT


def wants_contrast() -> bool:
    """Whether the system asks for high contrast (Qt tells since 6.10)."""
    accessibility = getattr(QGuiApplication.styleHints(), "accessibility", None)
    if accessibility is None:
        return False
    return bool(accessibility().contrastPreference() == Qt.ContrastPreference.HighContrast)


def palette(theme: Theme) -> QPalette:
    """For what the style sheet leaves to the style: check marks, placeholders, dialogs of Qt's own."""
    made = QPalette()
    role = QPalette.ColorRole
    for colour, roles in (
        (theme.ground, (role.Window,)),
        (theme.surface, (role.Base, role.AlternateBase, role.Button, role.ToolTipBase)),
        (theme.text, (role.WindowText, role.Text, role.ButtonText, role.ToolTipText)),
        (theme.muted, (role.PlaceholderText,)),
        (theme.accent, (role.Highlight, role.Link)),
        (theme.on_accent, (role.HighlightedText,)),
    ):
        for one in roles:
            made.setColor(one, QColor(colour))
    return made


def style_sheet(theme: Theme, size_pt: float) -> str:
    """The application's whole style. Sizes are relative to the type size, so that large type enlarges everything."""
    pad = round(size_pt * 0.55)
    box = pad * 2 + 6
    with resources.as_file(resources.files("assets") / "icons" / f"{theme.tick}.svg") as path:
        tick = path.as_posix()
    return f"""
* {{ font-size: {size_pt:.1f}pt; color: {theme.text}; }}
QMainWindow, QDialog, QMenuBar {{ background: {theme.ground}; }}
QWidget#status QLabel {{ color: {theme.muted}; font-size: {size_pt * 0.88:.1f}pt; }}
QMenuBar {{ padding: 2px 4px; }}
QMenuBar::item {{ padding: 4px 10px; border-radius: 5px; background: transparent; }}
QMenu {{ background: {theme.surface}; border: 1px solid {theme.line}; padding: 4px; }}
QMenu::item {{ padding: {pad}px {pad * 4}px {pad}px {pad * 3}px; border-radius: 5px; }}
QMenu::separator {{ height: 1px; background: {theme.line}; margin: 4px; }}
QMenuBar::item:selected, QMenu::item:selected {{ background: {theme.accent}; color: {theme.on_accent}; }}
QFrame#card, QTextEdit, QPlainTextEdit, QLineEdit, QComboBox, QListWidget {{
    background: {theme.surface}; border: 1px solid {theme.line}; border-radius: 8px; }}
QTextEdit, QPlainTextEdit {{ padding: {pad}px; selection-background-color: {theme.accent};
    selection-color: {theme.on_accent}; }}
QLineEdit, QPlainTextEdit, QTextEdit {{ placeholder-text-color: {theme.muted}; }}
QLineEdit, QComboBox {{ padding: {pad}px {pad + 2}px; selection-background-color: {theme.accent};
    selection-color: {theme.on_accent}; }}
QComboBox::drop-down {{ border: none; width: {pad * 4}px; }}
QComboBox::down-arrow {{ width: 0; height: 0; border-left: 5px solid {theme.surface};
    border-right: 5px solid {theme.surface}; border-top: 6px solid {theme.muted}; }}
QComboBox QAbstractItemView {{ background: {theme.surface}; border: 1px solid {theme.line};
    selection-background-color: {theme.accent}; selection-color: {theme.on_accent}; }}
QPushButton {{ background: {theme.surface}; border: 1px solid {theme.line}; border-radius: 8px;
    padding: {pad}px {pad + 4}px; text-align: center; }}
QPushButton:hover {{ border-color: {theme.accent}; }}
QPushButton:pressed, QPushButton:checked {{ background: {theme.accent}; color: {theme.on_accent};
    border-color: {theme.accent}; }}
QPushButton:disabled {{ color: {theme.muted}; border-style: dashed; }}
QPushButton:focus, QLineEdit:focus, QTextEdit:focus, QPlainTextEdit:focus, QComboBox:focus, QSlider:focus,
QCheckBox:focus, QListWidget:focus {{ border: 3px solid {theme.accent}; border-radius: 8px; }}
QPushButton:checked:focus {{ border: 3px solid {theme.text}; }}
QLabel#muted {{ color: {theme.muted}; }}
QLabel#heading {{ font-weight: 600; }}
QLabel#title {{ font-size: {size_pt * 1.5:.1f}pt; font-weight: 600; }}
QPushButton#purpose {{ font-size: {size_pt * 1.15:.1f}pt; font-weight: 600; padding: {pad * 1.6:.0f}px {pad}px;
    background: {theme.accent}; color: {theme.on_accent}; border: 2px solid {theme.accent}; }}
QPushButton#purpose:hover, QPushButton#purpose:focus {{ border: 3px solid {theme.text}; }}
QPushButton#purpose:pressed {{ background: {theme.surface}; color: {theme.text}; }}
QPushButton#switch {{ text-align: left; }}
QPushButton#switch:checked {{ background: {theme.surface}; color: {theme.text}; border: 2px solid {theme.line}; }}
QPushButton#switch:focus {{ border: 3px solid {theme.accent}; }}
QScrollArea, QScrollArea > QWidget > QWidget#page {{ background: transparent; border: none; }}
QFrame#problem {{ background: {theme.warning}; border: 2px solid {theme.on_warning}; border-radius: 8px; }}
QFrame#problem QLabel {{ color: {theme.on_warning}; }}
QFrame#problem[weight="notice"] {{ background: {theme.notice}; border: 2px solid {theme.on_notice}; }}
QFrame#problem[weight="notice"] QLabel {{ color: {theme.on_notice}; }}
QFrame#remote {{ background: {theme.remote}; border: 2px solid {theme.on_remote}; border-radius: 8px; }}
QFrame#remote QLabel {{ color: {theme.on_remote}; font-weight: 600; }}
QCheckBox {{ spacing: {pad}px; padding: 4px; border: 3px solid transparent; }}
QCheckBox::indicator {{ width: {box}px; height: {box}px; border: 2px solid {theme.line}; border-radius: 4px;
    background: {theme.surface}; }}
QCheckBox::indicator:checked {{ background: {theme.accent}; border-color: {theme.accent}; image: url("{tick}"); }}
QTabWidget::pane {{ background: {theme.surface}; border: 1px solid {theme.line}; border-radius: 8px; }}
QTabWidget > QStackedWidget > QWidget {{ background: {theme.surface}; }}
QTabBar::tab {{ background: transparent; padding: {pad}px {pad * 2}px; margin-right: 4px; border: 2px solid transparent;
    border-bottom: 3px solid transparent; }}
QTabBar::tab:selected {{ border-bottom: 3px solid {theme.accent}; font-weight: 600; }}
QTabBar::tab:focus {{ border: 2px solid {theme.accent}; border-bottom: 3px solid {theme.accent}; }}
QSlider {{ border: 3px solid transparent; min-height: {pad * 4}px; }}
QSlider::groove:horizontal {{ height: 6px; background: {theme.line}; border-radius: 3px; }}
QSlider::sub-page:horizontal {{ background: {theme.accent}; border-radius: 3px; }}
QSlider::handle:horizontal {{ width: {pad * 3}px; margin: -{pad}px 0; border-radius: {pad}px;
    background: {theme.accent}; border: 2px solid {theme.surface}; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QToolTip {{ background: {theme.surface}; color: {theme.text}; border: 1px solid {theme.line}; }}
QScrollBar:vertical {{ background: transparent; width: 14px; }}
QScrollBar::handle:vertical {{ background: {theme.line}; border-radius: 5px; min-height: 32px; margin: 1px; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0; }}
"""
