/* Everything public. Needs mpi.h, as job.h, packed.h, run.h and store.h do. */
#ifndef TRIMINE_TRIMINE_H
#define TRIMINE_TRIMINE_H
#include "trimine/abi.h"
#include "trimine/ask.h"
#include "trimine/batches.h"
#include "trimine/eval.h"
#include "trimine/job.h"
#include "trimine/knn.h"
#include "trimine/loss.h"
#include "trimine/metric.h"
#include "trimine/mine.h"
#include "trimine/packed.h"
#include "trimine/radius.h"
#include "trimine/run.h"
#include "trimine/status.h"
#include "trimine/store.h"
#include "trimine/version.h"
#endif
