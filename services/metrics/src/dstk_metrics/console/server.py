"""The console as a part of the service."""

from typing_extensions import override

from dstk_metrics.application.api import MetricsApi
from dstk_metrics.console.app import MetricsCalls, application
from dstk_metrics.console.figures import ConsoleFigures
from dstk_metrics.console.survey import Survey
from dstk_telemetry.connections import LastingConnection
from dstk_telemetry.http_server import HttpServer


class ConsoleServer(HttpServer):
    """Listens at host:port. `hosts`: names by which browsers may ask for it, separated by commas."""

    name = "console"

    def __init__(self, listen: str, hosts: str, api: MetricsApi, survey: Survey) -> None:
        self.figures = ConsoleFigures()
        self._calls, self._survey = MetricsCalls(api, self.figures), survey
        names = [name.strip() for name in hosts.split(",") if name.strip()]
        served = application(self._calls, survey, names, self.figures)
        super().__init__(listen, served, LastingConnection, option="--console-listen")

    @property
    def listeners(self) -> int:
        """How many browsers follow the totals."""
        return self._calls.listeners

    @override
    async def close(self) -> None:
        await super().close()
        await self._survey.close()
