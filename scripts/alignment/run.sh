#!/usr/bin/env bash
# The three steps that made ChatGPT, small: a GPT of 8 million weights that tells stories learns to write film reviews
# (SFT), a reward model learns from rankings which of them are kind, and PPO writes kind ones; DPO and GRPO beside it.
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
    genarium align reward --model "$out/sft" --full --data "$out/rankings.jsonl" --epochs 2 --learning-rate 1e-4 \
        --out "$out/reward"

# Step 3: the policy is improved against the reward, near to what step 1 made; the judge only watches.
[ -e "$out/ppo/training.json" ] ||
    genarium align ppo --model "$out/sft" --full --data "$prompts" --reward "$out/reward" --gold "$judge" \
        --max-new-tokens 24 --epochs 2 --learning-rate 1e-4 --steps 100 --out "$out/ppo"

# Beside it: DPO straight from the rankings, and GRPO against the same reward.
[ -e "$out/dpo/training.json" ] ||
    genarium align dpo --model "$out/sft" --full --data "$out/rankings.jsonl" --learning-rate 5e-5 --out "$out/dpo"
[ -e "$out/grpo/training.json" ] ||
    genarium align grpo --model "$out/sft" --full --data "$prompts" --reward "$out/reward" --gold "$judge" \
        --max-new-tokens 24 --learning-rate 1e-4 --steps 100 --out "$out/grpo"

# Who wins, blind, by the judge that none of them learned from, on prompts that none of them saw.
for one in ppo dpo grpo; do
    for other in sft starter/text; do
        [ "$other" = starter/text ] || other=$out/$other
        genarium align compare "$out/$one" "$other" --prompts "$out/data/prompts-dev.jsonl" --judge "$judge" \
            --max-new-tokens 24
    done
done
