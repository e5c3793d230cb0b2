from sciml.problem import *
