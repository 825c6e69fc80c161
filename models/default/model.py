"""The model that is trained: the arithmetic of transformers' OlmoeForCausalLM, laid out for training on few cores.

Per layer: x += attention(norm(x)), x += experts(norm(x)). Queries and keys are normalised over their whole width before
the heads are cut; rotary positions rotate halves; the router's softmax goes over all experts, the top k are taken and
their probabilities are the weights, not renormalised. Rows are sorted by expert, so that each expert does one product.
With one expert this is a dense model. export.py writes the weights under transformers' names.
"""
import dataclasses
import math

import torch
import torch.nn.functional as F

EPS = 1e-5
THETA = 10000.0


@dataclasses.dataclass(frozen=True)
class Config:
    vocab: int
    width: int = 256
    layers: int = 8
    heads: int = 4
    experts: int = 16
    top_k: int = 2
    ff: int = 256
    context: int = 512

    def active(self):
        """Multiply-adds of weights per token: attention, router, the chosen experts, the output matrix."""
        layer = 4 * self.width ** 2 + 3 * self.width * self.ff * self.top_k + (self.width * self.experts if self.experts > 1 else 0)
        return self.layers * layer + self.vocab * self.width

    def total(self):
        layer = 4 * self.width ** 2 + 3 * self.width * self.ff * self.experts + self.width * self.experts + 4 * self.width
        return self.layers * layer + 2 * self.vocab * self.width + self.width


def norm(x, weight):
    """RMS norm in float32; the result has x's type."""
    return F.rms_norm(x.float(), (x.shape[-1],), weight, EPS)


PAD = 64  # each expert's rows begin at a multiple: oneDNN compiles a product for every shape, so shapes have to be few


def gated(hidden):
    """silu(gate) * up of rows [N, 2 ff]."""
    gate, up = hidden.chunk(2, dim=1)
    return F.silu(gate) * up


def gated_backward(hidden, grad):
    """The gradient of gated's input, and its output again."""
    gate, up = hidden.float().chunk(2, dim=1)
    half, grad = torch.sigmoid(gate), grad.float()
    grad_hidden = torch.cat((grad * up * half * (1 + gate * (1 - half)), grad * gate * half), dim=1)
    return grad_hidden.to(hidden.dtype), (gate * half * up).to(hidden.dtype)


def gather_scaled(grad, source, weight):
    """Rows source of grad, each times its weight."""
    return (grad[source].float() * weight.unsqueeze(1)).to(grad.dtype)


def combine(y, place, weight):
    """Row t: the sum over j of weight[t, j] y[place[t, j]]."""
    rows = y.index_select(0, place.flatten()).view(*place.shape, -1)
    return torch.bmm(weight.to(y.dtype).unsqueeze(1), rows).squeeze(1)


def combine_weights(y, place, grad):
    return (y[place].float() * grad.float().unsqueeze(1)).sum(2)


class Experts(torch.autograd.Function):
    """y[t] = sum over t's k experts of weight * down(silu(gate x) * up x), rows sorted by expert.

    x [T, width]; weight [T, k] float32; gate_up [E, 2 ff, width], gate first; down [E, width, ff]. Rows lie sorted by
    expert: row r is x[source[r]], the choice (t, j) is row place[t, j], expert e's rows are begins[e] … begins[e + 1] - 1.
    Rows that only fill an expert's part up to a multiple of PAD have the weight 0 in row_weight.
    """

    @staticmethod
    def forward(ctx, x, weight, gate_up, down, source, place, begins):
        rows = x[source]
        hidden = rows.new_empty(len(source), gate_up.shape[1])
        y = torch.empty_like(rows)
        parts = [(e, slice(a, b)) for e, (a, b) in enumerate(zip(begins, begins[1:])) if b > a]
        for e, part in parts:
            torch.mm(rows[part], gate_up[e].t(), out=hidden[part])
        inner = FUSED["gated"](hidden)
        for e, part in parts:
            torch.mm(inner[part], down[e].t(), out=y[part])
        ctx.save_for_backward(rows, hidden, y, weight, gate_up, down, source, place)
        ctx.parts = parts
        return combine(y, place, weight)

    @staticmethod
    def backward(ctx, grad):
        rows, hidden, y, weight, gate_up, down, source, place = ctx.saved_tensors
        grad_weight = FUSED["combine_weights"](y, place, grad)
        row_weight = weight.new_zeros(len(source))
        row_weight[place.flatten()] = weight.flatten()
        grad_y = FUSED["gather_scaled"](grad, source, row_weight)
        grad_inner = rows.new_empty(len(source), down.shape[2])
        grad_gate_up, grad_down = torch.zeros_like(gate_up), torch.zeros_like(down)
        for e, part in ctx.parts:
            torch.mm(grad_y[part], down[e], out=grad_inner[part])
        grad_hidden, inner = FUSED["gated_backward"](hidden, grad_inner)
        grad_rows = torch.empty_like(rows)
        for e, part in ctx.parts:
            torch.mm(grad_y[part].t(), inner[part], out=grad_down[e])
            torch.mm(grad_hidden[part], gate_up[e], out=grad_rows[part])
            torch.mm(grad_hidden[part].t(), rows[part], out=grad_gate_up[e])
        return combine(grad_rows, place, torch.ones_like(weight)), grad_weight, grad_gate_up, grad_down, None, None, None


def chunk_loss(logits, wanted):
    """(sum of the losses, their gradient in the logits) of rows of logits."""
    kind, logits = logits.dtype, logits.float()
    total = torch.logsumexp(logits, 1, keepdim=True)
    loss = (total - logits.gather(1, wanted)).sum()
    hit = torch.arange(logits.shape[1], device=logits.device) == wanted
    return loss, ((logits - total).exp() - hit.float()).to(kind)


class CrossEntropy(torch.autograd.Function):
    """Mean loss of the rows of x against targets through the output matrix, by chunks: the logits are never whole."""

    CHUNK = 1024

    @staticmethod
    def forward(ctx, x, matrix, targets):
        loss = x.new_zeros((), dtype=torch.float32)
        grad_x, grad_matrix = torch.empty_like(x), torch.zeros(matrix.shape, dtype=torch.float32)
        grad_matrix = grad_matrix.to(x.device)
        for at in range(0, len(x), CrossEntropy.CHUNK):
            rows, wanted = x[at:at + CrossEntropy.CHUNK], targets[at:at + CrossEntropy.CHUNK].unsqueeze(1)
            part, grad = FUSED["chunk_loss"](rows @ matrix.t(), wanted)
            loss += part
            torch.mm(grad, matrix, out=grad_x[at:at + CrossEntropy.CHUNK])
            grad_matrix += grad.t() @ rows
        ctx.save_for_backward(grad_x, grad_matrix)
        ctx.rows = len(x)
        return loss / len(x)

    @staticmethod
    def backward(ctx, grad):
        grad_x, grad_matrix = ctx.saved_tensors
        return grad_x * (grad / ctx.rows).to(grad_x.dtype), grad_matrix * (grad / ctx.rows), None


def sort_rows(chosen, experts):
    """chosen [T, k] -> (source, place, begins, counts) for Experts."""
    flat, k = chosen.flatten(), chosen.shape[1]
    counts = torch.bincount(flat, minlength=experts)
    sizes = (counts + PAD - 1) // PAD * PAD
    ends = sizes.cumsum(0)
    order = torch.sort(flat, stable=True)[1]
    shift = (ends - sizes) - (counts.cumsum(0) - counts)  # padding before each expert
    rows = torch.arange(len(order), device=order.device) + shift[flat[order]]
    place = torch.empty_like(order)
    place[order] = rows
    begins = [0] + ends.tolist()
    source = order.new_zeros(begins[-1])
    source[rows] = order // k
    return source, place.view_as(chosen), begins, counts


def attention(x, qkv, out, q_norm, k_norm, cos, sin, heads):
    """x [B, S, width] of the compute type; cos and sin [S, 1, head / 2] float32."""
    batch, length, width = x.shape
    shape = (batch, length, heads, -1)
    q, k, v = F.linear(x, qkv.to(x.dtype).view(3 * width, width)).split(width, dim=2)

    def rotate(y):
        a, b = y.view(shape).chunk(2, dim=3)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=3).to(x.dtype).transpose(1, 2)

    y = F.scaled_dot_product_attention(rotate(norm(q, q_norm)), rotate(norm(k, k_norm)), v.view(shape).transpose(1, 2),
                                       is_causal=True)
    return F.linear(y.transpose(1, 2).reshape(batch, length, width), out.to(x.dtype))


def first_half(x, y, weights, cos, sin, heads, top_k):
    """Adds y, the experts' output of the layer before, to x, then this layer's attention; chooses experts.

    x [B, S, width] float32, y [B S, width] of the compute type -> (x, rows for the experts [B S, width], weight [B S, k],
    chosen [B S, k], balance loss, z-loss)
    """
    attention_norm, qkv, out, q_norm, k_norm, expert_norm, router = weights
    x = x + y.view_as(x)
    x = x + attention(norm(x, attention_norm).to(y.dtype), qkv, out, q_norm, k_norm, cos, sin, heads)
    h = norm(x, expert_norm).view(-1, x.shape[2])
    logits = F.linear(h, router)
    probabilities = logits.softmax(1)
    weight, chosen = probabilities.topk(top_k, dim=1)
    experts = len(router)
    load = F.one_hot(chosen, experts).float().mean((0, 1))
    return x, h.to(y.dtype), weight, chosen, experts * (load * probabilities.mean(0)).sum(), logits.logsumexp(1).square().mean()


# Functions that torch.compile may replace (compile_parts).
FUSED = {f.__name__: f for f in (gated, gated_backward, gather_scaled, combine_weights, chunk_loss, first_half)}


def compile_parts():
    """Lets torch.compile fuse what is not a matrix product; needs a C++ compiler and Python's headers."""
    for name, function in FUSED.items():
        FUSED[name] = torch.compile(function, dynamic=name not in ("chunk_loss", "first_half"))


class Model(torch.nn.Module):
    def __init__(self, config, seed=0):
        super().__init__()
        self.config = c = config
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape, std=0.02):
            return torch.nn.Parameter(torch.randn(*shape, generator=generator) * std)

        out = 0.02 / math.sqrt(2 * c.layers)
        self.embedding = normal(c.vocab, c.width)
        self.blocks = torch.nn.ModuleList()
        for _ in range(c.layers):
            block = torch.nn.Module()
            block.qkv = normal(3, c.width, c.width)
            block.out = normal(c.width, c.width, std=out)
            block.router = normal(c.experts, c.width)
            block.gate_up = normal(c.experts, 2 * c.ff, c.width)
            # The router's weights begin at 1/experts: the outputs make up for it.
            block.down = normal(c.experts, c.width, c.ff, std=out * c.experts / c.top_k / 2)
            for name in ("attention_norm", "q_norm", "k_norm", "expert_norm"):
                setattr(block, name, torch.nn.Parameter(torch.ones(c.width)))
            self.blocks.append(block)
        self.norm = torch.nn.Parameter(torch.ones(c.width))
        self.output = normal(c.vocab, c.width)

    def rotary(self, length, device):
        head = self.config.width // self.config.heads
        inverse = 1.0 / THETA ** (torch.arange(0, head, 2, device=device).float() / head)
        angles = torch.outer(torch.arange(length, device=device).float(), inverse)
        return angles.cos().unsqueeze(1), angles.sin().unsqueeze(1)

    def forward(self, ids, kind=torch.float32):
        """ids [B, S] -> (rows [B S, width] before the output matrix, balance, z, counts [layers, experts]).

        balance and z are summed over the layers, as Switch Transformer and ST-MoE do.
        """
        cos, sin = self.rotary(ids.shape[1], ids.device)
        x = F.embedding(ids, self.embedding)
        y = torch.zeros_like(x, dtype=kind).view(-1, x.shape[2])
        balance = z = 0.0
        counts = []
        for block in self.blocks:
            weights = tuple(getattr(block, n) for n in ("attention_norm", "qkv", "out", "q_norm", "k_norm", "expert_norm", "router"))
            x, h, weight, chosen, b, zz = FUSED["first_half"](x, y, weights, cos, sin, self.config.heads, self.config.top_k)
            source, place, begins, n = sort_rows(chosen, self.config.experts)
            y = Experts.apply(h, weight, block.gate_up.to(kind), block.down.to(kind), source, place, begins)
            balance, z = balance + b, z + zz
            counts.append(n)
        x = norm(x + y.view_as(x), self.norm).to(kind)
        return x.view(-1, x.shape[2]), balance, z, torch.stack(counts)

    def loss(self, ids, targets, kind=torch.float32):
        """(mean cross-entropy, balance loss, z-loss, counts); ids and targets [B, S]."""
        rows, balance, z, counts = self(ids, kind)
        return CrossEntropy.apply(rows, self.output.to(kind), targets.flatten()), balance, z, counts

    def logits(self, ids):
        return F.linear(self(ids)[0], self.output).view(*ids.shape, -1)
