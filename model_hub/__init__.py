"""Getting models onto this disk: catalogue, hubs, a download that can be killed at any point. No torch, nothing of ours."""
