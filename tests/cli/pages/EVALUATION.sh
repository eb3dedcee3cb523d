# What the commands of docs/EVALUATION.md work on.
trimine synth store.h5 --rows 200 --dim 8 --classes 10 --seed 1 --quiet
trimine synth gallery.h5 --rows 200 --dim 8 --classes 10 --seed 2 --quiet
trimine synth probes.h5 --rows 50 --dim 8 --classes 10 --seed 3 --quiet
cp gallery.h5 corpus.h5
cp probes.h5 questions.h5
for query in {0..49}; do echo "$query $((4 * query))"; done >pairs.txt
