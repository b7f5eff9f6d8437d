"""`python -m train.ablation`: train and judge every arm, and print one table; run it again to resume."""

import logging
from dataclasses import replace
from pathlib import Path

import click

from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS, path_option

PLAN = Path("configs/ablation.yaml")


@click.command(context_settings=SETTINGS)
@path_option("--data", help="Folder with a manifest.csv; optional with --quick.")
@path_option("-o", "--output", default=Path("runs/ablation"), help="Folder of the runs.")
@path_option("--results", help="Folder for table, costs and sheet.", show_default="OUTPUT")
@path_option("--plan", "path", default=PLAN, help="The arms to compare.")
@click.option(
    "--arm", "names", multiple=True, help="Run only this arm, and do not measure costs; may be repeated."
)
@click.option("--quick", is_flag=True, help="Minutes instead of hours, on synthetic figures without --data.")
def command(
    data: Path | None, output: Path, results: Path | None, path: Path, names: tuple[str, ...], quick: bool
) -> None:
    """Compare the joint network with two-model pipelines, and with itself without its parts.

    Every arm and seed is a run of its own in OUTPUT/ARM-seedN, which resumes where it was stopped and is not
    repeated once it has been judged. Written are table.md, the printed table; table.csv with all numbers;
    arms.jpg with mattes of the arms; and cost.json. Costs are measured once, when no --arm is named, because a
    training at the same time would disturb them. Start a plan for several processes with torchrun.
    """
    from jointmat.errors import InputError
    from jointmat.evaluation.table import table
    from train.ablation import report, synthetic
    from train.ablation.arms import run_arms
    from train.ablation.cost import measured_once
    from train.ablation.plan import Planner, read_plan
    from train.distributed import world

    if data is None and not quick:
        raise InputError("missing --data DIR, a folder with a manifest.csv; or add --quick")
    plan = read_plan(path, quick)
    chosen = plan.chosen(names)
    folder = results or output
    for needed in (output, folder):
        needed.mkdir(parents=True, exist_ok=True)
    changes: dict[str, object] = {"root": str(data)}
    if data is None:
        synthetic.write(output / synthetic.FOLDER)
        changes = {"root": str(output / synthetic.FOLDER), **synthetic.CHANGES}
        plan = replace(plan, judge=replace(plan.judge, sources=()))
    planner = Planner(plan, path.parent, changes)
    with world("cpu") as processes:
        found = run_arms(planner, output, chosen, processes)
    if not processes.is_first:
        return
    judge = plan.judge
    costs = measured_once(
        folder / "cost.json",
        planner.models,
        plan.reference,
        judge.cost_size,
        judge.cost_rounds,
        only_stored=bool(names),
    )
    cells, note = report.rows(plan, found, costs), report.conditions(plan, found, costs)
    called = f"python -m train.ablation{' --quick' if quick else ''}{' --data DIR' if data else ''}"
    called += f" --results {results}" if results else ""
    called += "" if path == PLAN else f" --plan {path}"
    report.save_table(folder / "table.md", cells, note, called)
    report.save_csv(folder / "table.csv", plan, found, costs)
    drawn = " and arms.jpg" if report.draw(folder / "arms.jpg", planner, found, output) else ""
    click.echo(f"{table(cells)}\n\n{note}\nwrote table.md, table.csv{drawn} into {folder}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    run(command)
