#!/usr/bin/env bash
# The three steps that made ChatGPT, small: a GPT of 8 million weights that tells stories learns to write film reviews
# (SFT), a reward model learns from rankings which of them are kind, and PPO writes kind ones; GRPO and DPO beside it.
#
#     scripts/alignment/run.sh ../shared/data/sst2 runs/reviews
#
# About an hour on two cores. Running it again goes on where it was. docs/alignment-reviews.md says what came of it.
set -euo pipefail
data=$1 out=$2
here=$(dirname "$0")
prompts=$out/data/prompts.jsonl
judge=$out/judge:positive

python "$here/prepare.py" "$data" "$out/data"

# Who ranks and who judges: two heads on starter/encoder, each from one half of what people said of the reviews.
for who in rater judge; do
    [ -e "$out/$who/training.json" ] ||
        genarium finetune --data "$out/data/$who.tsv" --validation-data "$out/data/dev.tsv" --out "$out/$who"
done

# Step 1: supervised answers. Of the reviews no label is read.
[ -e "$out/sft/training.json" ] ||
    genarium align sft --model starter/text --full --data "$out/data/reviews.jsonl" --epochs 3 --learning-rate 5e-4 \
        --out "$out/sft"

# Step 2: six answers to each of 1,000 prompts, ranked; a reward model learns from every pair of them.
[ -e "$out/rankings.jsonl" ] ||
    python "$here/rank.py" "$prompts" --model "$out/sft" --rater "$out/rater" --out "$out/rankings.jsonl"
[ -e "$out/reward/training.json" ] ||
    genarium align reward --model "$out/sft" --full --data "$out/rankings.jsonl" --epochs 1 --learning-rate 1e-4 \
        --out "$out/reward"

# Step 3: the policy is improved near to what step 1 made; the judge only watches. The reward is the rater itself: the
# model of step 2 is too small to hear it.
policy=(--model "$out/sft" --full)
rewards=(--data "$prompts" --reward "$out/rater:positive" --gold "$judge")
[ -e "$out/ppo/training.json" ] ||
    genarium align ppo "${policy[@]}" "${rewards[@]}" --max-new-tokens 24 --batch-size 48 --epochs 3 \
        --learning-rate 4e-4 --steps 40 --evaluate-every 8 --out "$out/ppo"

# Beside it: GRPO against the same reward, and DPO straight from the rankings.
[ -e "$out/grpo/training.json" ] ||
    genarium align grpo "${policy[@]}" "${rewards[@]}" --max-new-tokens 24 --learning-rate 3e-4 --steps 60 \
        --evaluate-every 10 --held-out 64 --out "$out/grpo"
[ -e "$out/dpo/training.json" ] ||
    genarium align dpo "${policy[@]}" --data "$out/rankings.jsonl" --learning-rate 1e-4 --steps 120 --out "$out/dpo"

# Who wins, blind, by the judge that none of them learned from, on prompts that none of them saw.
for one in ppo grpo dpo; do
    genarium align compare "$out/$one" "$out/sft" --prompts "$out/data/prompts-dev.jsonl" --judge "$judge" \
        --max-new-tokens 24 --temperature 1
done
