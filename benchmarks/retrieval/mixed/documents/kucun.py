"""仓库库存：入库、锁定、盘点。

所有数量都是整数，单位是“件”；金额用整数“分”。本模块不做并发控制，调用方要自己拿分布式锁。
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

SAFETY_DAYS = 9
"""安全库存按最近销量的多少天算。旺季（十月到次年一月）由配置改成 14。"""


class StockShort(Exception):
    """可用数量不够时抛出；`missing` 是还差的件数。"""

    def __init__(self, sku: str, missing: int) -> None:
        super().__init__(f"{sku} 还差 {missing} 件")
        self.missing = missing


@dataclass
class Shelf:
    """一个货位。编号由区、排、层组成，例如 `C-07-3` 是 C 区第 7 排第 3 层。

    最上面一层（第 5 层）只放轻货，单件不超过 4 千克。
    """

    code: str
    counts: dict[str, int] = field(default_factory=dict)
    locked: dict[str, int] = field(default_factory=dict)

    def available(self, sku: str) -> int:
        """可用数量：在架数量减去锁定数量，不会小于零。"""
        return max(0, self.counts.get(sku, 0) - self.locked.get(sku, 0))


def lock(shelves: list[Shelf], sku: str, quantity: int) -> list[tuple[str, int]]:
    """为一张订单锁定库存，返回（货位，件数）的列表。

    先取件数最少的货位，好把零头清空；锁定 20 分钟后由定时任务释放。数量不够时一件也不锁，抛出 StockShort。
    """
    total = sum(shelf.available(sku) for shelf in shelves)
    if total < quantity:
        raise StockShort(sku, quantity - total)
    taken = []
    for shelf in sorted(shelves, key=lambda one: one.available(sku)):
        part = min(quantity, shelf.available(sku))
        if part:
            shelf.locked[sku] = shelf.locked.get(sku, 0) + part
            taken.append((shelf.code, part))
            quantity -= part
    return taken


def reorder_point(daily_sales: list[int], lead_days: int) -> int:
    """补货点：供货天数加安全天数里预计卖掉的件数，向上取整。

    用最近 28 天的平均销量；不足 7 天记录的新品返回 -1，表示要由采购员人工决定。
    """
    recent = daily_sales[-28:]
    if len(recent) < 7:
        return -1
    return math.ceil(sum(recent) / len(recent) * (lead_days + SAFETY_DAYS))


def count_difference(book: int, counted: int, price: int) -> str:
    """盘点差异怎么处理：返回 `ignore`、`adjust` 或 `report`。

    差额在 50 元以内的忽略；50 元到 2000 元的由组长调账；再多就要写报告给财务的 苏倩。
    """
    amount = abs(book - counted) * price
    if amount <= 5_000:
        return "ignore"
    return "adjust" if amount <= 200_000 else "report"


def expiring(batches: dict[str, int], today: int, shelf_life: int) -> list[str]:
    """快到期的批次：剩余天数不到保质期三分之一的，不再发给门店，转到员工内购。"""
    return [batch for batch, made in batches.items() if made + shelf_life - today < shelf_life / 3]
