# The engine alone, for compose.yaml. Not the app: that needs a window and devices.
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libportaudio2 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir .
ENTRYPOINT ["python", "main.py"]
CMD ["engine", "--host", "0.0.0.0", "--port", "8970"]
