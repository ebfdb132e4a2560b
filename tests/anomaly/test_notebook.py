"""What notebooks show of detectors and events."""

from tsae import AnomalyDetector


def test_a_fitted_detector_shows_the_diagram_and_what_fit_found(fitted_detector):
    html = fitted_detector._repr_mimebundle_()["text/html"]
    assert "sk-top-container" in html
    assert "<th>channels</th><td>load, heat</td>" in html
    threshold = fitted_detector.timeline_threshold_
    assert f"<td>{threshold.n_scores_:,}</td>" in html
    assert f"<th>threshold of events</th><td>{threshold.threshold(0.05):.4g}</td>" in html
    assert "tsae-detector" in fitted_detector._repr_html_()
    assert "tsae-detector" in html
    unfitted = AnomalyDetector()._repr_mimebundle_()["text/html"]
    assert "sk-top-container" in unfitted
    assert "tsae-detector" not in unfitted


def test_events_are_a_table(fitted_detector, plant_windows):
    assert "<th>start</th>" in fitted_detector.events(plant_windows)._repr_html_()
