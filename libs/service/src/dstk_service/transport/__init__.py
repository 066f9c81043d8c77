"""The transport: the only code that opens a channel, listens on an address, chooses options, or shows and checks credentials.

`port` declares it, `credentials` says who calls. The gRPC adapter is `grpc_connector` (a client needs no more) and
`grpc_transport`, which also listens.
"""
