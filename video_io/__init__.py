"""Pictures in: camera, screen and file sources, the frame selector and picture quality. The only user of OpenCV."""
