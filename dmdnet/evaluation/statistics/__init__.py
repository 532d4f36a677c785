"""From the scores of pictures to records: means, intervals over people, tests, comparisons, parts of a set."""
