# %% [markdown]
# # Parts of objects
#
# Exercises whose tests hand over optimizers and other objects, and look at what has become of their parts.

# %% given="parts-setup" locked=true
import math

import numpy as np
import torch
from torch import nn

# %% answer="WarmupCosine"
class WarmupCosine:
    def __init__(self, optimizer, warmup, total):
        ### BEGIN SOLUTION
        self.optimizer, self.warmup, self.total = optimizer, warmup, total
        self.base = [g["lr"] for g in optimizer.param_groups]
        self.t = 0
        self._apply()
        ### END SOLUTION
    ### BEGIN SOLUTION
    def factor(self):
        if self.t < self.warmup:
            return (self.t + 1) / self.warmup
        p = (self.t - self.warmup) / (self.total - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * p))
    def _apply(self):
        for g, lr in zip(self.optimizer.param_groups, self.base):
            g["lr"] = lr * self.factor()
    def step(self):
        self.t += 1
        self._apply()
    ### END SOLUTION

# %% test="WarmupCosine-steps" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
p = nn.Parameter(torch.zeros(1))
opt = torch.optim.SGD([p], lr=0.1)
s = WarmupCosine(opt, 2, 6)
lrs = []
for _ in range(5):
    lrs.append(opt.param_groups[0]["lr"])
    s.step()
assert abs(lrs[0] - 0.05) < 1e-9
assert abs(lrs[1] - 0.1) < 1e-9
assert lrs[2] > lrs[3] > lrs[4]
### END HIDDEN TESTS

# %% test="WarmupCosine-groups" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
lin = nn.Linear(2, 1)
opt = torch.optim.SGD([{"params": [lin.weight]}, {"params": [lin.bias], "lr": 0.5}], lr=0.1)
s = WarmupCosine(opt, 4, 8)
assert [g["lr"] for g in opt.param_groups] == [0.025, 0.125]
s.step()
assert [g["lr"] for g in opt.param_groups] == [0.05, 0.25]
### END HIDDEN TESTS

# %% answer="set_lr"
def set_lr(optimizer, lr):
    ### BEGIN SOLUTION
    for g in optimizer.param_groups:
        g["lr"] = lr
    ### END SOLUTION

# %% test="set_lr-sets" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
opt = torch.optim.Adam(nn.Linear(2, 1).parameters(), lr=0.1)
set_lr(opt, 0.01)
assert opt.param_groups[0]["lr"] == 0.01
### END HIDDEN TESTS

# %% answer="MySGD"
class MySGD(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.0):
        ### BEGIN SOLUTION
        super().__init__(params, dict(lr=lr, momentum=momentum))
        ### END SOLUTION
    @torch.no_grad()
    def step(self, closure=None):
        ### BEGIN SOLUTION
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None: continue
                buf = self.state[p].setdefault("buf", torch.zeros_like(p))
                buf.mul_(group["momentum"]).add_(p.grad)
                p.sub_(group["lr"] * buf)
        ### END SOLUTION

# %% test="MySGD-learns" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
torch.manual_seed(0)
m = nn.Linear(3, 1)
opt = MySGD(m.parameters(), lr=0.1, momentum=0.9)
x, y = torch.randn(16, 3), torch.randn(16, 1)
first = None
for _ in range(20):
    opt.zero_grad()
    loss = ((m(x) - y) ** 2).mean()
    loss.backward()
    opt.step()
    first = first or loss.item()
assert loss.item() < first
### END HIDDEN TESTS

# %% test="MySGD-step-scheduler" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
m = nn.Linear(3, 1)
opt = MySGD(m.parameters(), lr=0.5)
sched = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.1)
opt.step(); sched.step()
assert abs(opt.param_groups[0]["lr"] - 0.05) < 1e-9
### END HIDDEN TESTS

# %% test="MySGD-standstill" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
m = nn.Linear(3, 1)
opt = MySGD(m.parameters(), lr=0.5)
for g in opt.param_groups:
    g["lr"] = 0.0
before = m.weight.clone()
m(torch.ones(1,3)).sum().backward()
opt.step()
assert torch.equal(m.weight, before)
### END HIDDEN TESTS

# %% test="MySGD-cosine-scheduler" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
m = nn.Linear(2, 1)
opt = MySGD(m.parameters(), lr=1.0)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=4)
seen = []
for _ in range(4):
    m(torch.ones(1, 2)).sum().backward()
    opt.step(); sched.step(); opt.zero_grad()
    seen.append(opt.param_groups[0]["lr"])
assert seen == sorted(seen, reverse=True) and abs(seen[-1]) < 1e-9
### END HIDDEN TESTS

# %% answer="Graph"
class Graph:
    def __init__(self):
        ### BEGIN SOLUTION
        self.edges = {}
        self.log = []
        ### END SOLUTION
    ### BEGIN SOLUTION
    def __getitem__(self, node): return self.edges.setdefault(node, [])
    def degree(self, node): return len(self.edges.get(node, []))
    ### END SOLUTION

# %% test="Graph-grows" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
g = Graph()
g["a"].append("b"); g["a"].append("c")
assert g.degree("a") == 2
g.edges["z"] = [1, 2, 3]
assert g.degree("z") == 3
e = g.edges
e["y"] = [1]
e["y"].append(2)
assert g.degree("y") == 2
### END HIDDEN TESTS

# %% answer="poke"
def poke(net):
    ### BEGIN SOLUTION
    net.w[1] = 5
    net.hist.append(1)
    net.hist.append(2)
    ### END SOLUTION

# %% test="poke-pokes" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
class Net:
    def __init__(self): self.w = np.zeros(3); self.hist = []
n = Net()
poke(n)
assert n.w[1] == 5 and n.hist == [1, 2]
### END HIDDEN TESTS
