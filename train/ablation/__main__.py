"""`python -m train.ablation`: train every arm, judge it, and print one table; run again to go on."""

import logging
from dataclasses import replace
from pathlib import Path

import click

from jointmat.cli.errors import run

PLAN = Path("configs/ablation.yaml")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder with a manifest.csv; needed without --quick."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("runs/ablation"), help="Folder of the runs."
)
@click.option(
    "--results",
    "stored",
    type=click.Path(path_type=Path),
    help="Folder of results, table and picture; OUTPUT if not given.",
)
@click.option("--plan", "path", type=click.Path(path_type=Path), default=PLAN, help="What is compared.")
@click.option(
    "--arm", "names", multiple=True, help="Only run this arm now, and do not measure costs; may be repeated."
)
@click.option("--quick", is_flag=True, help="Minutes instead of hours, on drawn figures without --data.")
@click.option("--estimate", "only_estimate", is_flag=True, help="Only say how long training would take here.")
def command(
    data: Path | None,
    output: Path,
    stored: Path | None,
    path: Path,
    names: tuple[str, ...],
    quick: bool,
    only_estimate: bool,
) -> None:
    """Compare the joint network with two-model pipelines, and with itself without its parts.

    Every arm and seed is a run of its own under OUTPUT, which goes on where it was stopped. Once judged, its
    result is stored as ARM-seedN.json, and it is not run again; the table shows every stored one. table.md is
    what is printed, table.csv has all numbers, arms.jpg the mattes of the arms whose weights are in OUTPUT. Costs
    are measured once, into cost.json, when no --arm is named: an arm that trains at the same time would disturb
    them. Until then the table has none. A plan for several processes is started by torchrun.
    """
    from jointmat.errors import InputError
    from train.ablation import report, synthetic
    from train.ablation.arms import run_arms
    from train.ablation.cost import measured_once
    from train.ablation.estimate import estimate
    from train.ablation.estimate import table as estimate_table
    from train.ablation.plan import Planner, read_plan
    from train.distributed import world

    if data is None and not quick:
        raise InputError("--data is not given: name the folder with a manifest.csv, or add --quick")
    plan = read_plan(path, quick)
    chosen = plan.chosen(names)
    stored = stored or output
    for folder in (output, stored):
        folder.mkdir(parents=True, exist_ok=True)
    changes: dict[str, object] = {"root": str(data)}
    if data is None:
        synthetic.write(output / synthetic.FOLDER)
        changes = {"root": str(output / synthetic.FOLDER), **synthetic.CHANGES}
        plan = replace(plan, judge=replace(plan.judge, sources=()))
    planner = Planner(plan, path.parent, changes)
    with world("cpu") as processes:
        if only_estimate:
            rows = estimate_table(estimate(planner, output, chosen, processes))
            if processes.is_first:
                click.echo(report.text(rows))
            return
        results = run_arms(planner, output, stored, chosen, processes)
    if not processes.is_first:
        return
    networks = {name: planner.model(name) for name, arm in plan.arms.items() if not arm.of}
    judge = plan.judge
    costs = measured_once(
        stored / "cost.json",
        networks,
        plan.reference,
        judge.cost_size,
        judge.cost_rounds,
        only_stored=bool(names),
    )
    rows, note = report.table(plan, results, costs), report.conditions(plan, results, costs)
    called = f"python -m train.ablation{' --quick' if quick else ''}{' --data DIR' if data else ''}"
    called += f" --results {stored}" if stored != output else ""
    report.write_table(stored / "table.md", rows, note, called if path == PLAN else f"{called} --plan {path}")
    report.write_csv(stored / "table.csv", plan, results, costs)
    drawn = " and arms.jpg" if report.draw(stored / "arms.jpg", planner, results, output) else ""
    click.echo(f"{report.text(rows)}\n\n{note}\nwrote table.md, table.csv{drawn} into {stored}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    run(command)
