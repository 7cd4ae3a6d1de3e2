# The mill in a container. The home, with store, runs and Prefect's database, is a volume; the recipe and its inputs are
# mounted. `docker run -v mill:/home/mill/.gristmill -v $PWD/recipes:/recipes mill schedule /recipes/mine.toml`
# There is no health check: `schedule` watches its server and its runs itself, and starts them again.
FROM python:3.11-slim

RUN useradd --create-home mill
WORKDIR /opt/gristmill
COPY . .
RUN pip install --no-cache-dir -c constraints.txt torch==2.13.0 \
    && pip install --no-cache-dir -c constraints.txt torch==2.13.0 '.[train,prefect,card]'

USER mill
WORKDIR /home/mill
# compiled kernels lie in the volume too: a new container would compile them again, for minutes
ENV GRISTMILL_HOME=/home/mill/.gristmill NUMBA_CACHE_DIR=/home/mill/.gristmill/kernels GRISTMILL_LOG_FORMAT=json
# a volume begins with the owner of the folder in the image; without one it is root's, and the mill cannot write
RUN mkdir -p "$NUMBA_CACHE_DIR"
VOLUME /home/mill/.gristmill
STOPSIGNAL SIGTERM
ENTRYPOINT ["gristmill"]
CMD ["--help"]
