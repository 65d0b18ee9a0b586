"""``python -m caffe_compat``: the command line."""

from __future__ import annotations

import sys

from caffe_compat.cli import main

sys.exit(main())
