/* Everything public. */
#ifndef TRIMINE_TRIMINE_H
#define TRIMINE_TRIMINE_H
#include "trimine/loss.h"
#include "trimine/metric.h"
#include "trimine/mine.h"
#include "trimine/run.h"
#include "trimine/status.h"
#include "trimine/store.h"
#include "trimine/version.h"
#endif
