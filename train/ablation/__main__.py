"""`python -m train.ablation`: train every arm, judge it, and print one table; run again to go on."""

import logging
from dataclasses import replace
from pathlib import Path

import click

from jointmat.console import run

PLAN = Path("configs/ablation.yaml")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder with a manifest.csv; needed without --quick."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("runs/ablation"), help="Folder.")
@click.option("--plan", "path", type=click.Path(path_type=Path), default=PLAN, help="What is compared.")
@click.option("--arm", "only", multiple=True, help="Only this arm, and the reference; may be repeated.")
@click.option("--quick", is_flag=True, help="Minutes instead of hours, on drawn figures without --data.")
def command(data: Path | None, output: Path, path: Path, only: tuple[str, ...], quick: bool) -> None:
    """Compare the joint network with two-model pipelines, and with itself without its parts.

    Every arm and seed is a run of its own under OUTPUT, which goes on where it was stopped; finished ones are
    kept. OUTPUT/table.md, table.csv and arms.jpg are what is printed, all numbers, and the mattes side by side.
    """
    from jointmat.errors import InputError
    from train.ablation import report, synthetic
    from train.ablation.arms import run_arms
    from train.ablation.cost import measure
    from train.ablation.plan import Planner, read_plan, without_others

    if data is None and not quick:
        raise InputError("--data is not given: name the folder with a manifest.csv, or add --quick")
    plan = without_others(read_plan(path, quick), only)
    output.mkdir(parents=True, exist_ok=True)
    changes: dict[str, object] = {"root": str(data)}
    if data is None:
        synthetic.write(output / "figures")
        changes = {"root": str(output / "figures"), **synthetic.CHANGES}
        plan = replace(plan, judge=replace(plan.judge, sources=()))
    planner = Planner(plan, path.parent, changes)
    networks = {name: planner.model(name) for name, arm in plan.arms.items() if not arm.of}
    results = run_arms(planner, output)
    costs = measure(networks, plan.reference, plan.judge.cost_size, plan.judge.cost_rounds)
    rows, note = report.table(planner, results, costs), report.conditions(planner, results)
    called = f"python -m train.ablation{' --quick' if quick else ''}{' --data DIR' if data else ''}"
    report.write_table(output / "table.md", rows, note, called)
    report.write_csv(output / "table.csv", planner, results, costs)
    report.draw(output / "arms.jpg", planner, results, output)
    click.echo(f"{report.text(rows)}\n\n{note}\nwrote {output}/table.md, table.csv and arms.jpg")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    run(command)
