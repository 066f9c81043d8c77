"""What a caller sees when RPCs fail: tables of faults against the thick client, the gateway client and the router."""
