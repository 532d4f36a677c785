"""Where the pictures of a benchmark come from: networks of ours, folders of results, the degraded input itself."""
