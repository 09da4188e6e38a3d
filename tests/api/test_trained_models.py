"""Models over HTTP: upload, list, path, delete, and what is refused."""

import pickle
from pathlib import Path

import numpy as np
import skops.io
from service import Reply, Service
from sklearn.linear_model import LogisticRegression
from urllib3.filepost import encode_multipart_formdata

MODEL = LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])


def upload(service: Service, name: str, content: bytes, **fields: str) -> Reply:
    parts = {**fields, "file": (name, content, "application/octet-stream")}
    body, content_type = encode_multipart_formdata(parts)
    return service.post("/api/models/upload", body, Content_Type=content_type)


def test_a_model_is_uploaded_listed_and_deleted(service: Service) -> None:
    content = skops.io.dumps(MODEL)
    stored = upload(service, "my model.skops", content, user_id="ann", model_name="MyModel")
    assert stored.status == 201
    data = stored.json["data"]
    assert (data["user_id"], data["model_name"], data["file_extension"]) == (
        "ann",
        "MyModel",
        ".skops",
    )
    assert (data["file_size"], data["original_filename"]) == (len(content), "my model.skops")
    assert Path(data["file_path"]).read_bytes() == content
    assert service.get("/api/models/user/ann").json["data"] == [data]
    assert service.get("/api/models/user/ben").json["total"] == 0
    one = f"/api/models/user/ann/model/{data['filename']}"
    assert service.get(f"{one}/path").json["data"]["file_path"] == data["file_path"]
    assert service.ask("DELETE", one).json["success"] is True
    assert service.get("/api/models/user/ann").json["total"] == 0
    assert service.ask("DELETE", one).status == 404


def test_what_cannot_be_a_model_is_refused(service: Service) -> None:
    content = skops.io.dumps(MODEL)
    for name, body, fields, status in (
        ("m.pkl", pickle.dumps(MODEL), {"user_id": "ann"}, 415),
        ("m.h5", b"\x89HDF\r\n\x1a\n", {"user_id": "ann"}, 415),
        ("m.onnx", content, {"user_id": "ann"}, 415),
        ("m.skops", content, {"user_id": "../ann"}, 422),
        ("m.skops", content, {"user_id": "ann", "model_name": "a/b"}, 422),
        ("m.skops", content, {}, 422),
    ):
        refused = upload(service, name, body, **fields)
        assert (refused.status, refused.headers["Content-Type"]) == (
            status,
            "application/problem+json",
        )
    large = upload(service, "m.onnx", b"\x08\x09" + bytes(50 * 1024**2), user_id="ann")
    assert large.status == 413
    assert service.get("/api/models/user/ann").json["total"] == 0
    assert service.get("/api/models/user/an%20n").status == 422
    foreign = service.post("/api/models/upload", b"x", Origin="https://other.example")
    assert foreign.status == 403
