from method_conformance import MethodConformance


class TestNearestMean(MethodConformance):
    method = "nearest_mean"
    failing = {"shrinkage": 100.0}
