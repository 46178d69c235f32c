"""The optimiser of the hearing half, and trainers that step as one."""

import argparse
import json

import pytest
import torch
from torch import nn
from torch.multiprocessing import ProcessRaisedException

from training import muon, peers


def _trained(steps: int, *, resume_at: int | None = None) -> nn.Module:
    """A small network after some steps towards fixed targets; saved and loaded again on the way when told."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 12), torch.randn(64, 3)
    net, optimizer = _new()
    for step in range(steps):
        if step == resume_at:
            states = net.state_dict(), optimizer.state_dict()
            net, optimizer = _new()
            net.load_state_dict(states[0])
            optimizer.load_state_dict(states[1])
        optimizer.zero_grad()
        nn.functional.mse_loss(net(inputs), targets).backward()
        optimizer.set_rate(0.02)
        optimizer.step()
    return net


def _new() -> tuple[nn.Module, muon.Mixed]:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 3))
    matrices = muon.hidden_matrices(net, without=("2.",))
    rest = [{"params": muon.others(net.parameters(), matrices)}]
    return net, muon.Mixed(matrices, rest, lr=0.02, weight_decay=0.01)


def test_steps_are_of_like_size_in_every_direction():
    torch.manual_seed(0)
    stacked = torch.randn(5, 40, 24) @ torch.diag(torch.logspace(0, -1.5, 24))
    values = torch.linalg.svdvals(muon.orthogonal(stacked))
    assert torch.linalg.svdvals(stacked).amin() < 0.1 * torch.linalg.svdvals(stacked).amax()
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert torch.allclose(muon.orthogonal(stacked)[3], muon.orthogonal(stacked[3]), atol=1e-5)


def test_matrices_are_muons_and_the_rest_adamws():
    _, optimizer = _new()
    assert [p.shape for p in optimizer.muon.param_groups[0]["params"]] == [(24, 12)]
    assert len(optimizer.adamw.param_groups[0]["params"]) == 3


def test_it_learns_and_goes_on_where_it_was_saved():
    straight, resumed = _trained(40), _trained(40, resume_at=17)
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))
    start, _ = _new()
    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 12), torch.randn(64, 3)
    before, after = (nn.functional.mse_loss(net(inputs), targets) for net in (start, straight))
    assert after < 0.6 * before


def _train(options: argparse.Namespace, rank: int) -> None:
    weight, unused = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))
    (weight * (1.0 + 2 * rank)).sum().backward()
    peers.share_gradients([weight, unused])
    found = [weight.grad.tolist(), unused.grad, peers.mean(float(rank))]
    (options.out / f"{rank}.json").write_text(json.dumps(found))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "gradient", "time"), [(1, 1.0, 0.0), (2, 2.0, 0.5)])
def test_peers_share_their_gradients(tmp_path, count, gradient, time):
    peers.run(_train, argparse.Namespace(out=tmp_path), count)
    found = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert found == [[[gradient] * 3, None, time]] * count


def _fail(options: argparse.Namespace, rank: int) -> None:
    if rank == 1:
        raise RuntimeError("no memory left")
    peers.mean(0.0)


def test_the_others_end_when_one_fails(tmp_path):
    with pytest.raises(ProcessRaisedException):
        peers.run(_fail, argparse.Namespace(), 2)
