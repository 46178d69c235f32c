"""Getting models onto this disk: catalogue, hubs, a download that can be killed. No torch, nothing else of ours."""
