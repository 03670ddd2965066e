"""Who may call the API: scopes -> keys -> authentication; actors: who does something without being a user."""
