"""Conformance suites: what every problem and every solver must do, for others to run on theirs.

Inherit a suite in a test module and say what it is to run on; pytest collects the inherited tests::

    class TestMyProblem(ProblemConformance):
        @pytest.fixture
        def problem(self):
            return MyProblem()


    class TestMySolver(SolverConformance):
        solver = "mine"
        options = {"steps": 100}
        tolerances = {"poisson_2d": 1e-3}
"""

from sciml.testing.problems import ProblemConformance
from sciml.testing.solvers import CASES, SolverConformance

__all__ = ["CASES", "ProblemConformance", "SolverConformance"]
