"""The step in PyTorch, differentiated by autograd and by hand."""

import os
from typing import Any

# Before the import, which reads it.  Threads that wait busily keep a core from whatever is timed
# by turns with them, and from one another: a step at batch 32768 took up to 20 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch.nn.functional import binary_cross_entropy

from manualbp.measuring.problem import Problem
from manualbp.peers import Outputs, PeerStep


def forward(variables: Any, inputs: Any) -> tuple[Any, list[Any]]:
    """Return the predictions and the input of every layer."""
    layer_inputs = [inputs]
    for weights, bias in variables[:-1]:
        layer_inputs.append(torch.relu(torch.addmm(bias, layer_inputs[-1], weights)))
    weights, bias = variables[-1]
    return torch.sigmoid(torch.addmm(bias, layer_inputs[-1], weights)), layer_inputs


def build(problem: Problem) -> PeerStep:
    """Build the step that autograd differentiates."""
    inputs, targets, variables = tensors(problem)
    flat = [tensor.requires_grad_() for pair in variables for tensor in pair]

    def step() -> Outputs:
        predictions, _ = forward(variables, inputs)
        loss = binary_cross_entropy(predictions, targets)
        gradients = torch.autograd.grad(loss, flat)
        return loss.detach(), tuple(zip(gradients[0::2], gradients[1::2], strict=True))

    return PeerStep(step, step)


def build_manual(problem: Problem) -> PeerStep:
    """Build the step with the backward pass by hand, from p - y, without autograd's records."""
    inputs, targets, variables = tensors(problem)

    def step() -> Outputs:
        with torch.no_grad():
            predictions, layer_inputs = forward(variables, inputs)
            loss = binary_cross_entropy(predictions, targets)
            upstream = (predictions - targets) / len(inputs)
            gradients = []
            for number in reversed(range(len(variables))):
                layer_input = layer_inputs[number]
                gradients.append((layer_input.T @ upstream, upstream.sum(dim=0)))
                if number > 0:
                    upstream = (upstream @ variables[number][0].T) * (layer_input > 0)
            return loss, tuple(reversed(gradients))

    return PeerStep(step, step)


def tensors(problem: Problem) -> tuple[Any, Any, Any]:
    """Return a problem's inputs, targets and variables as tensors on the CPU."""
    variables, (inputs, targets) = problem.arrays("float32")
    return (
        torch.from_numpy(inputs),
        torch.from_numpy(targets),
        [(torch.from_numpy(weights), torch.from_numpy(bias)) for weights, bias in variables],
    )
