"""The step's size over time, and what a step does: Muon for the matrices of the layers, AdamW for everything else."""
import torch

MUON_RATE, MUON_DECAY, MUON_MOMENTUM = 0.02, 0.02, 0.95
ADAM_RATE, ADAM_BETAS, ADAM_EPS = 2e-3, (0.9, 0.95), 1e-8
CLIP = 1.0
WARMUP = 100


def rate(step, steps, decay):
    """Factor of the rates: up over WARMUP steps, then 1, then down to 0 over the last `decay` of `steps` (None: endless)."""
    up = min(1.0, (step + 1) / WARMUP)
    return up if steps is None or step < steps - decay else up * (steps - step) / decay


def orthogonal(x, kind):
    """Pushes the singular values of each matrix of x [n, rows, columns] towards 1 (five steps of Newton and Schulz)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    turned = x.shape[1] > x.shape[2]
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(kind)
    if turned:
        x = x.transpose(1, 2).contiguous()
    for _ in range(5):
        square = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if turned else x


def as_matrices(name, parameter):
    """[n, rows, columns] if Muon takes the parameter, None if AdamW does. Gate and up are two matrices each."""
    last = name.rsplit(".", 1)[-1]
    if last not in ("qkv", "out", "gate_up", "down"):
        return None
    shape = parameter.shape
    return (2 * shape[0], shape[1] // 2, shape[2]) if last == "gate_up" else (shape if len(shape) == 3 else (1, *shape))


@torch.no_grad()
def update(name, value, grad, first, second, step, factor, kind):
    """One step of one parameter. first and second are its moments; Muon keeps only the first."""
    shape = as_matrices(name, value)
    if shape is None:
        first.lerp_(grad, 1 - ADAM_BETAS[0])
        second.mul_(ADAM_BETAS[1]).addcmul_(grad, grad, value=1 - ADAM_BETAS[1])
        scale = ((1 - ADAM_BETAS[1] ** (step + 1)) ** 0.5) / (1 - ADAM_BETAS[0] ** (step + 1))
        value.addcdiv_(first, second.sqrt().add_(ADAM_EPS), value=-ADAM_RATE * factor * scale)
        return
    first.lerp_(grad, 1 - MUON_MOMENTUM)
    direction = orthogonal(torch.lerp(grad, first, MUON_MOMENTUM).view(shape), kind).reshape(value.shape)
    value.mul_(1 - MUON_RATE * MUON_DECAY * factor)
    value.add_(direction.to(value.dtype), alpha=-MUON_RATE * factor * max(1.0, shape[1] / shape[2]) ** 0.5)
