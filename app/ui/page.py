"""The window's inside: two columns where there is room, one that scrolls where there is not.

Wide: what to do and what is on at the left (scrolls by itself when large type makes it long), the conversation at the
right. Narrow (a small screen, or large type on a usual one): everything below each other, in the order of its worth.
The text field stands below in both, so that it is always in sight.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.ui.fitting import FocusFollower

SIDE_EM, SIDE_LEAST_EM = 30, 25  # width of the left column, in units of the type size
TALK_EM = 24  # least width of the conversation beside it
TALK_LINES = 14  # least height of the conversation where all is one column
LEAST_PX = 240


class Page(QWidget):
    """Takes the widgets in groups: `first` and `last` of the left column, the conversation (of which the last two take
    the height that is left), the `bottom` that is always in sight, and the `foot`, which scrolls where room is scarce.
    """

    def __init__(
        self,
        *,
        first: Sequence[QWidget],
        talk: Sequence[QWidget],
        last: Sequence[QWidget],
        bottom: QWidget,
        foot: QWidget,
        tab_order: Sequence[QWidget],
    ) -> None:
        super().__init__()
        self._size_pt = 11.0
        self._narrow: bool | None = None
        self._tab_order = tuple(tab_order)
        self._first, self._talk, self._last, self._foot = _group(first), _group(talk), _group(last), foot
        column = self._talk.layout()
        assert isinstance(column, QBoxLayout)
        for widget in talk[-2:]:
            column.setStretchFactor(widget, 1)
        self._side, self._main = _scroll_area(), _scroll_area()
        across = QHBoxLayout()
        across.setSpacing(16)
        across.addWidget(self._side)
        across.addWidget(self._main, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 6)
        layout.setSpacing(8)
        layout.addLayout(across, 1)
        layout.addWidget(bottom)
        layout.addWidget(foot)
        self._layout = layout

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """Everything scrolls, so the window may be as small as the user likes."""
        return QSize(LEAST_PX, LEAST_PX)

    @property
    def narrow(self) -> bool:
        """All in one column."""
        return bool(self._narrow)

    def set_size(self, size_pt: float) -> None:
        self._size_pt = size_pt
        self._arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  # Qt's name
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        em_px = self._size_pt
        narrow = self.width() < (SIDE_LEAST_EM + TALK_EM) * em_px
        self._side.setFixedWidth(round(min(SIDE_EM * em_px, max(SIDE_LEAST_EM * em_px, self.width() * 0.42))))
        self._talk.setMinimumHeight(round(TALK_LINES * self._size_pt * 1.8) if narrow else 0)
        if narrow == self._narrow:
            return
        self._narrow = narrow
        self._layout.removeWidget(self._foot)
        columns: tuple[tuple[QWidget, ...], tuple[QWidget, ...]]
        if narrow:
            columns = ((), (self._first, self._talk, self._last, self._foot))
        else:
            columns = ((self._first, self._last), (self._talk,))
        for area, groups in zip((self._side, self._main), columns, strict=True):
            _fill(area, groups, stretch=self._talk)
        if not narrow:
            self._layout.addWidget(self._foot)
        self._side.setVisible(not narrow)
        for before, after in pairwise(self._tab_order):  # the same in both: the conversation first
            QWidget.setTabOrder(before, after)


def _group(widgets: Sequence[QWidget]) -> QWidget:
    group = QWidget()
    column = QVBoxLayout(group)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(10)
    for widget in widgets:
        column.addWidget(widget)
    return group


def _scroll_area() -> QScrollArea:
    area = QScrollArea()
    inside = QWidget()
    inside.setObjectName("page")
    column = QVBoxLayout(inside)
    column.setContentsMargins(0, 0, 4, 0)
    column.setSpacing(12)
    area.setWidget(inside)
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.viewport().setAutoFillBackground(False)
    inside.setAutoFillBackground(False)
    FocusFollower(area)
    return area


def _fill(area: QScrollArea, groups: Sequence[QWidget], *, stretch: QWidget) -> None:
    """Puts these groups, and only these, into the area's column; the keyboard's focus stays where it is."""
    inside = area.widget()
    assert inside is not None
    column = inside.layout()
    assert isinstance(column, QVBoxLayout)
    while column.count():
        column.takeAt(0)
    for group in groups:
        column.addWidget(group, 1 if group is stretch else 0)
        group.show()
    if stretch not in groups:
        column.addStretch(1)
