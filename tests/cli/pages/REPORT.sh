# What the commands of docs/REPORT.md work on.
trimine synth store.h5 --rows 200 --dim 8 --classes 10 --seed 1 --quiet
