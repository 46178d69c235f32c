"""Pictures brought to the window: what the clipboard and a drop become."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QImage

from app.commands import ChooseDevice, ShowPicture
from app.ui.pictures_in import command_for
from pictures.decode import decode


def test_a_file_a_picture_and_anything_else(tmp_path: Path) -> None:
    files = QMimeData()
    files.setUrls([QUrl("https://example.org/a.png"), QUrl.fromLocalFile(str(tmp_path / "grüße.jpg"))])
    assert command_for(files) == ChooseDevice("pictures", f"file:{tmp_path / 'grüße.jpg'}")
    image = QImage(20, 10, QImage.Format.Format_RGB32)
    image.fill(0xFF3060C0)
    picture = QMimeData()
    picture.setImageData(image)
    command = command_for(picture)
    assert isinstance(command, ShowPicture)
    rgb = decode(command.data)
    assert rgb.shape == (10, 20, 3)
    assert rgb[0, 0].tolist() == [0x30, 0x60, 0xC0]
    words = QMimeData()
    words.setText("just words")
    assert command_for(words) is None
    assert command_for(None) is None
