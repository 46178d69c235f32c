"""A layout of equal cells, as many beside each other as there is room for: rows of buttons in a narrow window."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    """Cells are as wide as the widest item needs, at most `max_columns` in a row; rows share the width evenly."""

    def __init__(self, parent: QWidget | None = None, *, max_columns: int = 4, spacing_px: int = 8) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self._max_columns = max_columns
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(spacing_px)

    def addItem(self, item: QLayoutItem) -> None:  # noqa: N802  # Qt's name
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:  # noqa: N802  # Qt's name
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:  # noqa: N802  # Qt's name
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:  # noqa: N802  # Qt's name
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:  # noqa: N802  # Qt's name
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802  # Qt's name
        return self._place(QRect(0, 0, width, 0), move=False)

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        shown = self._shown()
        columns = min(self._max_columns, max(1, len(shown)))
        width = columns * self._cell_px(shown) + (columns - 1) * self.spacing()
        return QSize(width, self.heightForWidth(width))

    def minimumSize(self) -> QSize:  # noqa: N802  # Qt's name
        shown = self._shown()
        return QSize(self._cell_px(shown), max((item.minimumSize().height() for item in shown), default=0))

    def setGeometry(self, rect: QRect) -> None:  # noqa: N802  # Qt's name
        super().setGeometry(rect)
        self._place(rect, move=True)

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _cell_px(self, shown: list[QLayoutItem]) -> int:
        return max((item.minimumSize().width() for item in shown), default=0)

    def _place(self, rect: QRect, *, move: bool) -> int:
        """Puts the items in their rows; returns the height of all of them."""
        shown, gap = self._shown(), self.spacing()
        if not shown:
            return 0
        cell_px = max(1, self._cell_px(shown))
        columns = max(1, min(self._max_columns, len(shown), (rect.width() + gap) // (cell_px + gap)))
        columns = -(-len(shown) // -(-len(shown) // columns))  # rows as even as they can be: 4 in 3 columns make 2 + 2
        y = rect.y()
        for first in range(0, len(shown), columns):
            row = shown[first : first + columns]
            height = max(_height(item, (rect.width() + gap) // columns - gap) for item in row)
            for column, item in enumerate(row):  # a last row that is not full shares the width all the same
                left = rect.x() + column * (rect.width() + gap) // len(row)
                right = rect.x() + (column + 1) * (rect.width() + gap) // len(row) - gap
                if move:
                    item.setGeometry(QRect(QPoint(left, y), QSize(right - left, height)))
            y += height + gap
        return y - gap - rect.y()


def _height(item: QLayoutItem, width: int) -> int:
    return item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height()
