# What the commands of docs/HPC.md work on.
trimine synth store.h5 --rows 300 --dim 16 --classes 10 --seed 1 --quiet
