"""How a recipe is run: context, jobs, engine, stages, lock; a dry run and a rebuild. No Prefect."""
