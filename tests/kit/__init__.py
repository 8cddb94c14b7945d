"""The parts that the black-box tests are put together from."""
