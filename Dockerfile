# The mill in a container. The home, with store, runs and Prefect's database, is a volume; the recipe and its inputs are
# mounted. `docker run -v mill:/home/mill/.gristmill -v $PWD/recipes:/recipes mill schedule /recipes/mine.toml`
FROM python:3.11-slim

RUN useradd --create-home mill
WORKDIR /opt/gristmill
COPY . .
RUN pip install --no-cache-dir -c constraints.txt torch==2.13.0 \
    && pip install --no-cache-dir -c constraints.txt torch==2.13.0 '.[train,prefect,card]'

USER mill
WORKDIR /home/mill
ENV GRISTMILL_HOME=/home/mill/.gristmill GRISTMILL_LOG_FORMAT=json
VOLUME /home/mill/.gristmill
STOPSIGNAL SIGTERM
ENTRYPOINT ["gristmill"]
CMD ["--help"]
