"""InviteService: bringing people in. `manage` is the inviting side, `answer` the invited one."""
