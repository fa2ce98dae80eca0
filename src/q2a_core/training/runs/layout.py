"""What lies in a run's folder, by name.

RUN/
  config.json           its stage's settings, from the moment it began
  start.json            the checkpoint it began from: name, folder, hash, clips, what it heard; none for fresh weights
  log.jsonl             the run log; log-1.jsonl and so on tell of steps that no saved state remembered
  states/step-0000250/  weights.safetensors, optimizer.pt, state.json with their SHA-256
  reference.json        DPO's: {"reference": weights and precision, "pairs": hash of all pairs in their order,
                        "logps": {hash of the pair: [chosen, rejected]}}
  pairs/                DPO's, where a face wrote them: pairs.jsonl and the clips beside it
  checkpoint/           what it trained, in the hub's layout, once it ended
  .presence             locked by `q2a train`; the system frees it at a kill
  .holder               the process id of whoever locked it
  .doing                what it does before the first step: {"what", "done", "total"}
  .failed               the error that ended it: {"error"}
  .launch.json          the last start by a face: process id, options and time
  .stop                 a stop was asked for since
  .output.txt           what that process printed
  .lock                 locked by the training loop
  .owner                the process id of the loop that trains or trained there last
"""

CONFIG_FILE = "config.json"
START_FILE = "start.json"
LOG_FILE = "log.jsonl"
STATES = "states"
REFERENCE_FILE = "reference.json"
PAIRS = "pairs"
CHECKPOINT = "checkpoint"

PRESENCE, HOLDER, DOING, FAILED = ".presence", ".holder", ".doing", ".failed"
LAUNCH, STOP, OUTPUT = ".launch.json", ".stop", ".output.txt"
LOCK, OWNER = ".lock", ".owner"
