"""The service's answers: requests are checked, parts of the domain are asked, answers are put together."""
